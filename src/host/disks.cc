#include "host/disks.h"

#include "base/async.h"
#include "host/disk_watch.h"

namespace baton::host {
namespace {

constexpr milliseconds look_every{1000};
/// Often enough that a hang is noticed soon after its time.
constexpr milliseconds check_every{500};

class HostDisks final : public Disks {
  public:
    HostDisks(Clock& clock, std::vector<InstanceOptions> instances)
        : clock_(clock), alive_(std::make_shared<bool>(true)) {
        for (auto& options : instances)
            places_.push_back({std::move(options), nullptr, nullptr});
    }
    ~HostDisks() override { *alive_ = false; }

    void start(std::function<void()> changed) override {
        for (auto& place : places_)
            place.data = watch(place.options, place.options.data_directory, false);
        spawn(clock_.executor(), run(*this, alive_, clock_, std::move(changed)));
    }

    std::optional<agent::Disk> data(size_t instance) const override {
        if (instance >= places_.size() || !places_[instance].data) return std::nullopt;
        return places_[instance].data->disk(clock_.now());
    }
    std::optional<agent::Disk> wal(size_t instance) const override {
        if (instance >= places_.size() || !places_[instance].wal) return std::nullopt;
        return places_[instance].wal->disk(clock_.now());
    }

  private:
    struct Place {
        InstanceOptions options;
        std::unique_ptr<DiskWatch> data;
        std::unique_ptr<DiskWatch> wal;
    };
    using Healths = std::vector<std::optional<agent::DiskHealth>>;

    static std::unique_ptr<DiskWatch> watch(const InstanceOptions& options, const std::string& path,
                                            bool is_wal) {
        return std::make_unique<DiskWatch>(
            path, [path, is_wal] { return look_at_disk(path, is_wal); }, options.hung_after);
    }

    /// `self` is not touched once it has gone: `alive` says so.
    static Task<void> run(HostDisks& self, std::shared_ptr<bool> alive, Clock& clock,
                          std::function<void()> changed) {
        Healths before;
        auto next_look = clock.now();
        for (;;) {
            if (clock.now() >= next_look) {
                self.look();
                next_look = clock.now() + look_every;
            }
            co_await clock.sleep_until(self.next_check());
            if (!*alive) co_return;
            if (auto now = self.healths(); now != before) {
                before = std::move(now);
                changed();
                if (!*alive) co_return;
            }
        }
    }

    /// A hang is noticed at once when its time has come.
    MonoTime next_check() const {
        const auto now = clock_.now();
        auto next = now + check_every;
        for (const auto& place : places_) {
            for (const auto* watch : {place.data.get(), place.wal.get()}) {
                const auto hangs = watch != nullptr ? watch->hangs_at() : std::nullopt;
                if (hangs && *hangs > now) next = std::min(next, *hangs);
            }
        }
        return next;
    }

    void look() {
        const auto now = clock_.now();
        for (auto& place : places_) {
            place.data->look_now(now);
            const bool apart = place.data->wal_apart();
            if (apart && !place.wal)
                place.wal = watch(place.options, place.options.data_directory + "/pg_wal", true);
            if (!apart) place.wal.reset();
            if (place.wal) place.wal->look_now(now);
        }
    }

    Healths healths() const {
        Healths out;
        for (size_t i = 0; i < places_.size(); ++i) {
            for (const auto& disk : {data(i), wal(i)})
                out.push_back(disk ? std::optional(disk->health) : std::nullopt);
        }
        return out;
    }

    Clock& clock_;
    std::shared_ptr<bool> alive_;
    std::vector<Place> places_;
};

}  // namespace

std::unique_ptr<Disks> make_disks(Clock& clock, std::vector<InstanceOptions> instances) {
    return std::make_unique<HostDisks>(clock, std::move(instances));
}

}  // namespace baton::host
