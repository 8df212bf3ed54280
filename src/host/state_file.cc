// The state file is two files that change places (renameat2 with RENAME_EXCHANGE), both as long as they will
// ever need to be: a disk that is full must not keep the agent from remembering that its server is down.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "host/files.h"
#include "host/state.h"

namespace baton::host {
namespace {

constexpr size_t block = 16UL * 1024;
constexpr milliseconds try_again{500};

std::string reason() {
    return std::strerror(errno);
}

/// Overwrites `path` in place with `text`, filled up with line ends to whole blocks, and syncs it.
std::string overwrite(const std::string& path, std::string text) {
    text.resize((text.size() / block + 1) * block, '\n');
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return reason();
    std::string wrong;
    for (size_t done = 0; done < text.size() && wrong.empty();) {
        const auto n = ::pwrite(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
        if (n < 0 && errno != EINTR) wrong = reason();
        if (n > 0) done += static_cast<size_t>(n);
    }
    if (wrong.empty() && ::ftruncate(fd, static_cast<off_t>(text.size())) != 0) wrong = reason();
    if (wrong.empty() && ::fdatasync(fd) != 0) wrong = reason();
    ::close(fd);
    return wrong;
}

/// "" or what went wrong.
std::string replace(const std::string& directory, const std::string& text) {
    const auto file = directory + "/state.json";
    const auto spare = directory + "/state.spare";
    if (auto wrong = overwrite(spare, text); !wrong.empty()) return spare + ": " + wrong;
    if (::renameat2(AT_FDCWD, spare.c_str(), AT_FDCWD, file.c_str(), RENAME_EXCHANGE) != 0 &&
        ::rename(spare.c_str(), file.c_str()) != 0) {
        return file + ": " + reason();
    }
    if (const auto synced = sync_directory(directory); !synced) return synced.error().text();
    return {};
}

/// Shared with the thread, which outlives the owner when the disk hangs.
struct Writer {
    explicit Writer(std::string where) : directory(std::move(where)) {}

    const std::string directory;
    std::mutex mutex;
    std::condition_variable wake;
    std::optional<std::string> text;
    std::vector<std::function<void()>> waiting;
    std::string trouble;
    bool stop = false;
};

void run(const std::shared_ptr<Writer>& w, const asio::any_io_executor& executor) {
    std::unique_lock lock(w->mutex);
    for (;;) {
        w->wake.wait(lock, [&] { return w->stop || w->text; });
        if (!w->text) return;
        const auto text = *std::exchange(w->text, std::nullopt);
        auto done = std::exchange(w->waiting, {});
        lock.unlock();
        auto wrong = replace(w->directory, text);
        lock.lock();
        w->trouble = wrong;
        if (w->stop && !w->text && !wrong.empty()) return;
        if (wrong.empty()) {
            for (auto& d : done) {
                if (!w->stop) asio::post(executor, std::move(d));
            }
            continue;
        }
        if (!w->text) w->text = text;
        w->waiting.insert(w->waiting.begin(), std::make_move_iterator(done.begin()),
                          std::make_move_iterator(done.end()));
        w->wake.wait_for(lock, try_again, [&] { return w->stop; });
    }
}

class File final : public StateFile {
  public:
    File(Clock& clock, const std::string& directory, Memory memory, int lock)
        : writer_(std::make_shared<Writer>(directory)), memory_(std::move(memory)), lock_(lock) {
        thread_ = std::thread(run, writer_, clock.executor());
    }
    ~File() override {
        {
            const std::lock_guard guard(writer_->mutex);
            writer_->stop = true;
            writer_->wake.notify_all();
        }
        // What was asked for is still written, unless the disk does not answer.
        thread_.detach();
        for (int i = 0; i < 100 && !idle(); ++i)
            std::this_thread::sleep_for(milliseconds(5));
        ::close(lock_);
    }

    void write(std::string text, std::function<void()> done) override {
        const std::lock_guard guard(writer_->mutex);
        writer_->text = std::move(text);
        writer_->waiting.push_back(std::move(done));
        writer_->wake.notify_one();
    }
    std::string trouble() const override {
        const std::lock_guard guard(writer_->mutex);
        return writer_->trouble;
    }
    const Memory& memory() const override { return memory_; }

  private:
    bool idle() const { return writer_.use_count() == 1; }

    std::shared_ptr<Writer> writer_;
    Memory memory_;
    int lock_;
    std::thread thread_;
};

Result<int> lock_directory(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        return fail(ErrorKind::io,
                    fmt::format("cannot be made: {} (StateDirectory; make it and give it to the database's "
                                "user)",
                                reason()),
                    directory);
    }
    const auto path = directory + "/lock";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(ErrorKind::io, fmt::format("cannot be opened: {}", reason()), path);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ::close(fd);
        return fail(ErrorKind::conflict, "another agent has this StateDirectory and runs", directory);
    }
    return fd;
}

Result<Memory> read_memory(const std::string& directory) {
    const auto path = directory + "/state.json";
    const auto text = read_whole(path);
    if (!text && text.error().kind == ErrorKind::not_found) return Memory{.agent = random_hex(16)};
    if (!text) return std::unexpected(text.error());
    auto memory = parse_memory(*text);
    if (!memory) {
        return fail(
            ErrorKind::invalid_argument,
            fmt::format("is damaged ({}), and without it nobody knows which servers must not be started. "
                        "When you have seen to it that this host's servers may run as they are, move "
                        "the file away",
                        memory.error().message),
            path);
    }
    return memory;
}

}  // namespace

Result<std::unique_ptr<StateFile>> open_state(Clock& clock, const std::string& directory) {
    const auto lock = lock_directory(directory);
    if (!lock) return std::unexpected(lock.error());
    auto memory = read_memory(directory);
    if (!memory) {
        ::close(*lock);
        return std::unexpected(memory.error());
    }
    return std::make_unique<File>(clock, directory, std::move(*memory), *lock);
}

}  // namespace baton::host
