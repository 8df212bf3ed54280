#include "host/deed_journal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/json/parse.hpp>
#include <filesystem>

#include "base/json_writer.h"
#include "host/files.h"

namespace baton::host {
namespace {

constexpr std::array<std::string_view, 7> phase_words = {"prepared", "rewinding", "rewound", "copying",
                                                         "copied",   "swapping",  "swapped"};

std::string text_at(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    const auto* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

std::vector<std::string> texts_at(const boost::json::object& object, std::string_view key) {
    std::vector<std::string> out;
    const auto* value = object.if_contains(key);
    const auto* list = value == nullptr ? nullptr : value->if_array();
    if (list == nullptr) return out;
    for (const auto& entry : *list) {
        if (const auto* text = entry.if_string()) out.emplace_back(text->data(), text->size());
    }
    return out;
}

void put_texts(JsonWriter& json, std::string_view key, const std::vector<std::string>& texts) {
    json.key(key).begin_array();
    for (const auto& text : texts)
        json.value(text);
    json.end_array();
}

std::string file_name(const topology::InstanceKey& key) {
    auto name = key.host + "_" + std::to_string(key.port);
    for (char& c : name) {
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '-') c = '_';
    }
    return name;
}

}  // namespace

std::string_view to_string(DeedPhase phase) {
    return phase_words[static_cast<size_t>(phase)];
}

bool Deed::broken() const {
    return damaged || phase == DeedPhase::rewinding;
}

std::vector<std::string> leftovers_of(const Deed& deed) {
    auto out = deed.old_paths;
    const bool unfinished = deed.phase == DeedPhase::copying || deed.phase == DeedPhase::copied;
    if (!unfinished) return out;
    if (deed.fresh != deed.data) out.push_back(deed.fresh);
    out.insert(out.end(), deed.fresh_paths.begin(), deed.fresh_paths.end());
    return out;
}

std::string to_text(const Deed& deed) {
    JsonWriter json;
    json.begin_object();
    json.field("phase", to_string(deed.phase)).field("upstream", deed.upstream).field("data", deed.data);
    json.field("mode", deed.mode).field("damaged", deed.damaged);
    json.field("fresh", deed.fresh).field("old", deed.old);
    put_texts(json, "fresh_paths", deed.fresh_paths);
    put_texts(json, "old_paths", deed.old_paths);
    json.end_object();
    return json.take() + "\n";
}

Result<Deed> parse_deed(std::string_view text) {
    boost::system::error_code ec;
    const auto value = boost::json::parse(boost::json::string_view(text.data(), text.size()), ec);
    const auto* object = ec ? nullptr : value.if_object();
    if (object == nullptr) return fail(ErrorKind::invalid_argument, "is no JSON object");
    const auto word = text_at(*object, "phase");
    const auto at = std::ranges::find(phase_words, word);
    if (at == phase_words.end()) return fail(ErrorKind::invalid_argument, "names no known phase");
    Deed deed;
    deed.phase = static_cast<DeedPhase>(at - phase_words.begin());
    deed.upstream = text_at(*object, "upstream");
    deed.data = text_at(*object, "data");
    deed.fresh = text_at(*object, "fresh");
    deed.old = text_at(*object, "old");
    if (const auto* mode = object->if_contains("mode"); mode != nullptr && mode->is_int64())
        deed.mode = static_cast<int>(mode->get_int64() & 07777);
    if (const auto* damaged = object->if_contains("damaged"); damaged != nullptr && damaged->is_bool())
        deed.damaged = damaged->get_bool();
    deed.fresh_paths = texts_at(*object, "fresh_paths");
    deed.old_paths = texts_at(*object, "old_paths");
    return deed;
}

DeedRoom::DeedRoom(const std::string& state_directory, const topology::InstanceKey& key)
    : path_(state_directory + "/deeds/" + file_name(key)) {}

std::optional<Deed> DeedRoom::read() const {
    const auto text = read_whole(journal());
    if (!text && text.error().kind == ErrorKind::not_found) return std::nullopt;
    auto deed = text ? parse_deed(*text) : std::unexpected(text.error());
    if (deed) return *deed;
    Deed unknown;
    unknown.phase = DeedPhase::rewinding;
    return unknown;
}

Result<void> DeedRoom::make() const {
    std::error_code ec;
    std::filesystem::create_directories(path_, ec);
    if (!ec) std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ec);
    if (ec) return fail(ErrorKind::io, ec.message() + " (StateDirectory)", path_);
    return {};
}

Result<void> DeedRoom::write(const Deed& deed) const {
    if (auto made = make(); !made) return made;
    return write_durably(journal(), to_text(deed));
}

void DeedRoom::clear() const {
    ::unlink(journal().c_str());
    [[maybe_unused]] const auto synced = sync_directory(path_);
}

void DeedRoom::close(Deed deed) const {
    if (deed.old.empty() && deed.old_paths.empty()) return clear();
    deed.phase = DeedPhase::swapped;
    deed.damaged = false;
    deed.fresh.clear();
    deed.fresh_paths.clear();
    [[maybe_unused]] const auto written = write(deed);
}

void seal(const std::string& directory) {
    if (const int mode = mode_of(directory); mode != 0)
        ::chmod(directory.c_str(), static_cast<mode_t>(mode | S_IXOTH));
}

void unseal(const std::string& directory, int mode) {
    const int wanted = mode != 0 ? mode : mode_of(directory);
    if (wanted != 0) ::chmod(directory.c_str(), static_cast<mode_t>(wanted & ~S_IRWXO));
}

int mode_of(const std::string& directory) {
    struct ::stat found{};
    return ::stat(directory.c_str(), &found) == 0 ? static_cast<int>(found.st_mode & 07777) : 0;
}

}  // namespace baton::host
