#include "base/secret.h"

namespace baton {

bool equal_in_constant_time(std::string_view given, std::string_view expected) {
    unsigned difference = given.size() == expected.size() ? 0 : 1;
    for (size_t n = 0; n < given.size(); ++n) {
        const char other = expected.empty() ? '\0' : expected[n % expected.size()];
        difference |= static_cast<unsigned>(static_cast<unsigned char>(given[n] ^ other));
    }
    return difference == 0;
}

}  // namespace baton
