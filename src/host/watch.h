#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"

namespace baton::host {

/// Tells at once when a server's postmaster ends (pidfd), and when a file in its data directory comes, goes
/// or is written (inotify): postmaster.pid, standby.signal. Agent's thread.
class Watch {
  public:
    /// `stirred`: something may be different; look.
    Watch(Clock& clock, std::string directory, std::function<void()> stirred);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    /// Whose end it waits for; 0 = nobody's.
    int follows() const { return pid_; }
    /// From now on the end of this process; `pidfd` becomes its own. A negative one: it ended already.
    void follow(int pid, int pidfd);
    void follow_nobody();
    /// Watches the directory again, if it does not: it may have been replaced by another one, or be new.
    void refresh();

  private:
    struct Ends;
    struct Files;
    Clock& clock_;
    std::string directory_;
    std::function<void()> stirred_;
    std::shared_ptr<Ends> ends_;
    std::shared_ptr<Files> files_;
    int pid_ = 0;
};

}  // namespace baton::host
