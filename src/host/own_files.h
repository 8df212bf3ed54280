#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

/// What belongs to this node, and not to the database: configuration, access rules, certificates that lie in
/// the data directory. pg_rewind and pg_basebackup bring the source's instead; the node's own ones are kept
/// aside and put back. All of it blocks.
namespace baton::host {

/// Is the file (path from the data directory) the node's own? Files that PostgreSQL itself keeps there, logs
/// and the agent's probe are not.
bool is_own_file(std::string_view path);
/// Could hold own files: not one of PostgreSQL's directories, not one of logs.
bool is_own_directory(std::string_view name);

/// Copies them to the directory `kept`, which is replaced as a whole, durably. Larger than 1 MiB, more than
/// 500, or deeper than three directories is no configuration and left out. How many there are.
Result<int> keep_own_files(const std::string& data_directory, const std::string& kept);

/// Brings them back, durably; in directories that are the node's own, files of others go. May be repeated.
Result<int> put_own_files(const std::string& kept, const std::string& data_directory);

}  // namespace baton::host
