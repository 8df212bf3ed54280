#pragma once

#include "doctor/facts.h"

namespace baton::doctor {

/// Looks at the files, programs and addresses that the configuration names. Creates and changes nothing.
Machine examine_machine(const config::Config& config);

/// The first word of a shell command that is a program's path ("/a/b", "./b", "~/b"); "" when it is a plain
/// word, an expression, or holds a placeholder or a variable.
std::string program_path(std::string_view command);

/// Words in braces that look like a slip of a placeholder's name, with that name.
std::vector<std::pair<std::string, std::string>> placeholder_slips(std::string_view command);

/// What the first bytes of an SQLite file say (SQLite manual, "Database File Format" 1.3).
/// `problem` gets the reason where the answer is not `usable`.
StateFile judge_header(std::string_view header, bool has_log, std::string& problem);

}  // namespace baton::doctor
