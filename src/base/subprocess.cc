#include "base/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

#include "base/async.h"

extern char** environ;

namespace baton {
namespace {

namespace posix = asio::posix;

struct Pipe {
    int read_end = -1;
    int write_end = -1;
};

Result<Pipe> make_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail(ErrorKind::io, std::strerror(errno), "pipe");
    // Only our end may be non-blocking: the program expects an ordinary stdout.
    fcntl(ends[1], F_SETFL, 0);
    return Pipe{ends[0], ends[1]};
}

std::vector<std::string> merged_environment(const ProcessSpec& spec) {
    std::map<std::string, std::string> merged;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const auto equals = text.find('=');
        if (equals != std::string_view::npos)
            merged[std::string(text.substr(0, equals))] = text.substr(equals + 1);
    }
    for (const auto& [name, value] : spec.environment)
        merged[name] = value;
    std::vector<std::string> out;
    for (const auto& [name, value] : merged)
        out.push_back(name + "=" + value);
    return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& t : texts)
        out.push_back(t.data());
    out.push_back(nullptr);
    return out;
}

Result<pid_t> start(ProcessSpec& spec, int output) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    sigset_t standard;
    sigemptyset(&standard);
    for (const int s : {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGCHLD})
        sigaddset(&standard, s);
    posix_spawnattr_setsigdefault(&attributes, &standard);
    auto environment = merged_environment(spec);
    pid_t pid = 0;
    const int code = posix_spawnp(&pid, spec.argv[0].c_str(), &actions, &attributes,
                                  pointers(spec.argv).data(), pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (code != 0)
        return fail(ErrorKind::io, std::string("cannot be started: ") + std::strerror(code), spec.argv[0]);
    return pid;
}

class SystemProcessRunner final : public ProcessRunner {
  public:
    explicit SystemProcessRunner(Clock& clock) : clock_(clock) {}

    Task<Result<ProcessResult>> run(ProcessSpec spec) override {
        if (spec.argv.empty()) co_return fail(ErrorKind::invalid_argument, "no program given");
        const auto pipe = make_pipe();
        if (!pipe) co_return std::unexpected(pipe.error());
        const auto began = clock_.now();
        const auto pid = start(spec, pipe->write_end);
        ::close(pipe->write_end);
        if (!pid) {
            ::close(pipe->read_end);
            co_return std::unexpected(pid.error());
        }
        ProcessResult result;
        // The pidfd becomes readable when the process ends; a background child may keep the pipe open for
        // longer.
        const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, *pid, 0));
        if (pidfd < 0) {
            const auto why = std::string(std::strerror(errno));
            ::kill(-*pid, SIGKILL);
            ::waitpid(*pid, nullptr, 0);
            ::close(pipe->read_end);
            co_return fail(ErrorKind::io, "cannot be watched, so it was ended: " + why, spec.argv[0]);
        }
        if (spec.on_started) spec.on_started(*pid);
        posix::stream_descriptor ended(clock_.executor(), pidfd);
        const auto output = std::make_shared<Output>(clock_.executor(), pipe->read_end, spec);
        spawn(clock_.executor(), read_all(output));
        co_await wait_or_kill(ended, *pid, began + spec.timeout, result);
        result.took = clock_.now() - began;
        output->drain();
        result.output = std::move(output->text);
        result.truncated = output->truncated;
        output->pipe.close();
        output->told = nullptr;
        co_return result;
    }

  private:
    struct Output {
        Output(const asio::any_io_executor& executor, int fd, const ProcessSpec& spec)
            : pipe(executor, fd), limit(spec.output_limit), told(spec.on_output) {}

        void add(std::string_view more) {
            if (told) told(more);
            const auto room = limit - std::min(limit, text.size());
            truncated = truncated || more.size() > room;
            text += more.substr(0, room);
        }
        /// What is in the pipe now, without waiting for more.
        void drain() {
            char buffer[4096];
            for (ssize_t n = 0;
                 pipe.is_open() && (n = ::read(pipe.native_handle(), buffer, sizeof buffer)) > 0;) {
                add({buffer, static_cast<size_t>(n)});
            }
        }

        posix::stream_descriptor pipe;
        size_t limit;
        std::function<void(std::string_view)> told;
        std::string text;
        bool truncated = false;
    };

    static Task<void> read_all(std::shared_ptr<Output> output) {
        std::array<char, 4096> buffer{};
        boost::system::error_code ec;
        while (output->pipe.is_open()) {
            const auto n = co_await output->pipe.async_read_some(
                asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, ec));
            if (ec) co_return;
            output->add({buffer.data(), n});
        }
    }

    Task<void> wait_or_kill(posix::stream_descriptor& ended, pid_t pid, MonoTime deadline,
                            ProcessResult& result) {
        const std::shared_ptr<Timer> timer = clock_.make_timer();
        const auto done = std::make_shared<bool>(false);
        spawn(clock_.executor(),
              [](std::shared_ptr<Timer> t, std::shared_ptr<bool> over, MonoTime when, pid_t group,
                 ProcessResult* r) -> Task<void> {
                  if (co_await t->wait_until(when) && !*over) {
                      r->timed_out = true;
                      ::kill(-group, SIGKILL);
                  }
              }(timer, done, deadline, pid, &result));
        boost::system::error_code ec;
        co_await ended.async_wait(posix::stream_descriptor::wait_read,
                                  asio::redirect_error(asio::use_awaitable, ec));
        *done = true;
        timer->cancel();
        int status = 0;
        ::waitpid(pid, &status, 0);
        result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

    Clock& clock_;
};

}  // namespace

std::unique_ptr<ProcessRunner> make_process_runner(Clock& clock) {
    return std::make_unique<SystemProcessRunner>(clock);
}

}  // namespace baton
