#pragma once

#include "base/clock.h"
#include "recovery/recovery.h"

namespace baton::recovery {

/// The journal of one recovery: what was decided and done, with the time since the suspicion began. Every
/// irreversible deed is on disk before it is done (rule 3 of the house: it tells a successor which deeds may
/// have happened).
class Journal {
  public:
    Journal(Clock& clock, store::Store& store, const Announce& announce, std::string uid, MonoTime since)
        : clock_(clock), store_(store), announce_(announce), uid_(std::move(uid)), since_(since) {}

    /// Talk: in order, on disk soon.
    void note(std::string message) { write(std::move(message), {}); }
    /// Talk with something for machines to find again.
    void mark(std::string message, std::string deed) { write(std::move(message), std::move(deed)); }
    /// A deed, announced before it is done; returns when it is on disk.
    Task<Result<void>> before_deed(std::string message, std::string deed);
    Duration elapsed() const { return clock_.now() - since_; }
    const std::string& uid() const { return uid_; }

  private:
    store::RecoveryStep make(std::string message, std::string deed);
    void write(std::string message, std::string deed);
    void announce(const store::RecoveryStep& step);

    Clock& clock_;
    store::Store& store_;
    Announce announce_;
    std::string uid_;
    MonoTime since_;
};
using JournalPtr = std::shared_ptr<Journal>;

}  // namespace baton::recovery
