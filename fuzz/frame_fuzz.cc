// A line from a host agent, a manager or a peer: what reads as a frame is written as one line that reads as
// the same frame, and what does not is refused in words that can be logged.
#include "agent/codec.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace baton;
    const auto frame = agent::parse_frame(fuzz::text_of(data, size));
    if (!frame) {
        fuzz::require_plain(frame.error());
        return 0;
    }
    const auto text = agent::to_text(*frame);
    fuzz::require(text.find('\n') == std::string::npos, "a frame is one line", text);
    const auto again = agent::parse_frame(text);
    fuzz::require(again.has_value(), "what was written can be read", text);
    fuzz::require(*again == *frame, "a frame comes back as it was", text);
    fuzz::require(agent::to_text(*again) == text, "equal frames have one text", text);
    return 0;
}
