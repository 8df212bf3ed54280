#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "topology/instance_key.h"

namespace baton::host {

/// How far a long deed has come. Written before what it names begins.
enum class DeedPhase : uint8_t {
    prepared,   ///< rewind: the own files are kept; the data directory is as it was
    rewinding,  ///< pg_rewind may have changed files: the data directory is good for nothing
    rewound,    ///< it is whole again; own files are to be put back
    copying,    ///< clone: into `fresh`
    copied,     ///< `fresh` is whole and durable, own files included
    swapping,   ///< `fresh` takes the place of the data directory
    swapped     ///< it has; the old one is still there
};
std::string_view to_string(DeedPhase phase);

/// What must be found again after the agent was killed in the middle of a rewind or clone.
struct Deed {
    DeedPhase phase = DeedPhase::prepared;
    std::string upstream;  ///< host:port
    std::string data;      ///< the data directory, links resolved
    int mode = 0;          ///< its permissions; 0 = it was not there
    bool damaged = false;  ///< an earlier rewind had broken the data directory
    std::string fresh;     ///< clone: the new directory; the data directory itself when it is copied into
    std::string old;       ///< clone: where the former one goes
    std::vector<std::string> fresh_paths;  ///< tablespaces and WAL of the new one that lie elsewhere
    std::vector<std::string> old_paths;    ///< of the former one
    bool operator==(const Deed&) const = default;

    /// The data directory itself is broken: only a clone makes it whole.
    bool broken() const;
};

/// What is good for nothing once the next deed begins: an unfinished copy, and what belongs to former
/// directories outside of them.
std::vector<std::string> leftovers_of(const Deed& deed);

std::string to_text(const Deed& deed);
/// Error invalid_argument.
Result<Deed> parse_deed(std::string_view text);

/// The place of one instance in the agent's state directory. All of it blocks.
class DeedRoom {
  public:
    DeedRoom(const std::string& state_directory, const topology::InstanceKey& key);

    /// Nothing: no deed is under way. One that cannot be read counts as a rewind in the middle.
    std::optional<Deed> read() const;
    Result<void> write(const Deed& deed) const;
    void clear() const;
    /// The deed is over. What of former directories is still there is remembered, to be removed later.
    void close(Deed deed) const;
    Result<void> make() const;

    std::string own_files() const { return path_ + "/own"; }
    std::string pass_file() const { return path_ + "/password"; }

  private:
    std::string journal() const { return path_ + "/deed.json"; }

    std::string path_;
};

/// While a directory is not whole it is sealed: PostgreSQL refuses to start in one that others may enter
/// ("invalid permissions"), whoever starts it, and what lies within stays readable for its owner only.
void seal(const std::string& directory);
void unseal(const std::string& directory, int mode);
/// Permissions; 0 = it is not there.
int mode_of(const std::string& directory);

}  // namespace baton::host
