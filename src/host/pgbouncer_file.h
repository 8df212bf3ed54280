#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "topology/instance_key.h"

namespace baton::host {

struct Retargeted {
    std::string text;
    std::vector<std::string> databases;  ///< whose line names the target now, also where it did before
};

/// The text of a PgBouncer file (manual, section [databases]; or a file that one includes there, without any
/// section) with `target` as host and port of these databases, of all when `databases` is empty. All else
/// stays byte for byte. Lines above the first section count as databases. Error not_found: a name has no
/// line (it is named), or the file has no database; invalid_argument: the host cannot be written there.
Result<Retargeted> retarget(std::string_view text, const std::vector<std::string>& databases,
                            const topology::InstanceKey& target);

/// Rewrites the file so (durably, by rename) and tells the PgBouncer of `pid_file` to read it again (SIGHUP).
/// Which databases were led there, for people. Blocks: not for the agent's thread. Errors as above; io: a
/// file, or no PgBouncer has that pid (the file is rewritten then).
Result<std::string> retarget_file(const std::string& databases_file, const std::string& pid_file,
                                  const std::vector<std::string>& databases,
                                  const topology::InstanceKey& target);

}  // namespace baton::host
