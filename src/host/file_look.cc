#include "host/file_look.h"

#include <sys/stat.h>

#include <thread>

#include "host/files.h"

namespace baton::host {

SmallFiles read_small_files(const std::string& directory) {
    constexpr size_t most_bytes = 16UL * 1024;
    const auto there = [&](const char* name, off_t at_least) {
        struct ::stat found{};
        return ::stat((directory + name).c_str(), &found) == 0 && found.st_size >= at_least;
    };
    SmallFiles files;
    files.version = there("/PG_VERSION", 0);
    files.control = there("/global/pg_control", 1);
    files.standby_signal = there("/standby.signal", 0);
    if (auto text = read_whole(directory + "/postmaster.pid", most_bytes))
        files.postmaster_pid = std::move(*text);
    return files;
}

FileLook::FileLook(Read read, Duration patience) : patience_(patience), shared_(std::make_shared<Shared>()) {
    std::thread([shared = shared_, read = std::move(read)] { work(shared, read); }).detach();
}

FileLook::~FileLook() {
    const std::scoped_lock held(shared_->lock);
    shared_->over = true;
    shared_->wake.notify_one();
}

void FileLook::work(const std::shared_ptr<Shared>& shared, const Read& read) {
    std::unique_lock held(shared->lock);
    for (;;) {
        shared->wake.wait(held, [&] { return shared->over || shared->wanted > shared->ended; });
        if (shared->over) return;
        const auto wanted = shared->wanted;
        held.unlock();
        auto result = read();
        held.lock();
        shared->result = std::move(result);
        shared->ended = wanted;
        shared->done.notify_one();
    }
}

const SmallFiles& FileLook::look() {
    std::unique_lock held(shared_->lock);
    if (shared_->wanted > shared_->ended) return last_;
    const auto wanted = ++shared_->wanted;
    shared_->wake.notify_one();
    if (shared_->done.wait_for(held, patience_, [&] { return shared_->ended == wanted; }))
        last_ = shared_->result;
    return last_;
}

}  // namespace baton::host
