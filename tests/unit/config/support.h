#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/config.h"

namespace baton::config::test {

inline Environment variables(TextMap values) {
    return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
        const auto found = values.find(name);
        return found == values.end() ? std::nullopt : std::optional(found->second);
    };
}

inline Report check_json(std::string_view text, TextMap environment = {}) {
    return check_text(text, "test.json", variables(std::move(environment)));
}

/// A directory of its own for one test, removed at its end.
class Folder {
  public:
    Folder() {
        std::string name = ::testing::TempDir() + "/baton-config-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string write(const std::string& name, std::string_view text) const {
        std::ofstream(path_ / name) << text;
        return path_ / name;
    }
    std::string path(const std::string& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

inline std::string all_warnings(const std::vector<Warning>& warnings) {
    std::string text;
    for (const auto& w : warnings)
        text += w.text + "\n";
    return text;
}

}  // namespace baton::config::test
