#include "host/disk_watch.h"

#include <fmt/format.h>

#include <thread>

namespace baton::host {

using topology::DiskHealth;

DiskWatch::DiskWatch(std::string path, Look look, Duration hung_after)
    : path_(std::move(path)), hung_after_(hung_after), shared_(std::make_shared<Shared>()) {
    std::thread([shared = shared_, look = std::move(look)] { work(shared, look); }).detach();
}

DiskWatch::~DiskWatch() {
    const std::scoped_lock held(shared_->lock);
    shared_->over = true;
    shared_->wake.notify_one();
}

void DiskWatch::work(const std::shared_ptr<Shared>& shared, const Look& look) {
    std::unique_lock held(shared->lock);
    for (;;) {
        shared->wake.wait(held, [&] { return shared->over || shared->wanted > shared->ended; });
        if (shared->over) return;
        held.unlock();
        auto result = look();
        held.lock();
        shared->result = std::move(result);
        shared->ended = shared->wanted;
    }
}

void DiskWatch::look_now(MonoTime now) {
    take(now);
    if (wanted_ > ended_) return;
    ++wanted_;
    asked_ = now;
    const std::scoped_lock held(shared_->lock);
    shared_->wanted = wanted_;
    shared_->wake.notify_one();
}

void DiskWatch::take(MonoTime now) {
    {
        // The thread holds the lock only to hand over, never while it looks.
        const std::scoped_lock held(shared_->lock);
        if (shared_->ended > ended_) {
            ended_ = shared_->ended;
            last_ = shared_->result;
            become(last_.health, now);
        }
    }
    if (wanted_ > ended_ && now - asked_ > hung_after_) become(DiskHealth::hung, now);
}

void DiskWatch::become(DiskHealth health, MonoTime now) {
    if (!known_ || health != health_) since_ = health == DiskHealth::hung ? asked_ : now;
    known_ = true;
    health_ = health;
}

std::optional<topology::Disk> DiskWatch::disk(MonoTime now) {
    take(now);
    if (!known_) return std::nullopt;
    topology::Disk disk;
    disk.path = path_;
    disk.total_bytes = last_.total_bytes;
    disk.free_bytes = last_.free_bytes;
    disk.health = health_;
    disk.since = now - since_;
    disk.detail = health_ == DiskHealth::hung
                      ? fmt::format("a small write has not ended for {} s", to_ms(now - asked_) / 1000)
                      : last_.detail;
    return disk;
}

}  // namespace baton::host
