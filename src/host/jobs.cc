#include "host/jobs.h"

#include <spdlog/spdlog.h>

#include <map>

#include "base/async.h"
#include "host/clone.h"
#include "host/deed_journal.h"
#include "host/own_files.h"
#include "host/own_thread.h"
#include "host/pgbouncer_file.h"
#include "host/receiver.h"
#include "host/rewind.h"

namespace baton::host {
namespace {

constexpr auto upkeep_limit = std::chrono::hours(24);
constexpr auto streaming_look = seconds(1);
/// A receiver that cannot stream ends at once; one that lives so long streams, though nothing was written
/// yet.
constexpr auto streams_surely = seconds(10);

/// One instance's deeds: a job, or the upkeep behind one, which a job ends.
struct Worker {
    explicit Worker(Clock& clock) : idle(clock) {}
    bool job = false;
    std::shared_ptr<JobControl> upkeep;  ///< under way
    Signal idle;                         ///< the upkeep has ended
};

/// Outlives the Jobs object while upkeep is under way.
struct Shared {
    Shared(Clock& c, ProcessRunner& p, std::string directory)
        : clock(c), processes(p), state_directory(std::move(directory)) {}

    Worker& worker(const InstanceKey& key) { return workers.try_emplace(key, clock).first->second; }

    Clock& clock;
    ProcessRunner& processes;
    std::string state_directory;
    std::map<InstanceKey, Worker> workers;
};
using SharedPtr = std::shared_ptr<Shared>;

std::optional<Deed> read_deed(const DeedRoom& room) {
    return room.read();
}

/// A copy that nobody will use is removed, and its deed forgotten; a broken data directory stays known.
Task<void> drop_copy(Tools& tools, DeedRoom room, Deed deed) {
    auto paths = deed.fresh_paths;
    if (deed.fresh != deed.data) paths.push_back(deed.fresh);
    end_strays({deed.fresh});
    if (const auto gone = co_await tools.remove(paths); !gone) co_return;
    co_await run_apart(tools.clock(), [room, deed]() mutable {
        if (!deed.broken()) return room.clear();
        deed.fresh = deed.data;
        deed.fresh_paths.clear();
        [[maybe_unused]] const auto written = room.write(deed);
    });
}

/// The former directory goes when the new one has streamed: until then it is the only other copy here.
Task<void> drop_former_when_streaming(Tools& tools, DeedRoom room, std::string data) {
    int pid = 0;
    auto since = tools.clock().now();
    while (tools.may_go_on()) {
        const auto receiver = co_await on_own_thread<std::optional<Receiver>>(
            tools.clock(), [data] { return find_receiver(data); });
        const auto now = tools.clock().now();
        if (!receiver || std::exchange(pid, receiver->pid) != receiver->pid) since = now;
        if (receiver && (receiver->position || now - since >= streams_surely)) {
            const auto gone = co_await drop_former(tools, room);
            if (!gone) spdlog::warn("{}: the former data directory stays: {}", data, gone.error().text());
            co_return;
        }
        co_await tools.clock().sleep_for(streaming_look);
    }
}

/// What there is to do behind a deed, or at the agent's start.
Task<void> keep_up(Tools& tools, DeedRoom room, bool at_start) {
    const auto deed =
        co_await on_own_thread<std::optional<Deed>>(tools.clock(), [room] { return read_deed(room); });
    const auto& data = tools.instance().data_directory;
    if (!deed) {
        // Should the directory be lost one day, its configuration is not.
        if (at_start) {
            co_await run_apart(tools.clock(), [room, data] {
                const bool whole = mode_of(data + "/global") != 0 && mode_of(data + "/postgresql.conf") != 0;
                if (whole && room.make()) [[maybe_unused]]
                    const auto kept = keep_own_files(data, room.own_files());
            });
        }
        co_return;
    }
    if (deed->phase == DeedPhase::copying) co_await drop_copy(tools, room, *deed);
    if (deed->phase == DeedPhase::copied && at_start) co_await drop_copy(tools, room, *deed);
    if (deed->phase == DeedPhase::swapped) co_await drop_former_when_streaming(tools, room, data);
    if (deed->phase == DeedPhase::prepared) co_await run_apart(tools.clock(), [room] { room.clear(); });
}

Task<void> run_upkeep(SharedPtr shared, InstanceOptions instance, bool at_start) {
    auto& worker = shared->worker(instance.key);
    if (worker.job || worker.upkeep) co_return;
    const auto control = std::make_shared<JobControl>(shared->clock.now() + upkeep_limit, [](const auto&) {});
    worker.upkeep = control;
    {
        Tools tools(shared->clock, shared->processes, instance, *control);
        co_await keep_up(tools, DeedRoom(shared->state_directory, instance.key), at_start);
    }
    worker.upkeep.reset();
    worker.idle.notify();
}

class HostJobs final : public Jobs {
  public:
    HostJobs(Clock& clock, ProcessRunner& processes, std::string state_directory)
        : shared_(std::make_shared<Shared>(clock, processes, std::move(state_directory))) {}
    ~HostJobs() override {
        for (auto& [key, worker] : shared_->workers) {
            if (const auto upkeep = worker.upkeep) upkeep->cancel();
        }
    }

    Task<JobEnd> rewind(const InstanceOptions& instance, const agent::Order& order,
                        JobControl& control) override {
        return run(shared_, instance, order, control, rewind_directory);
    }
    Task<JobEnd> clone(const InstanceOptions& instance, const agent::Order& order,
                       JobControl& control) override {
        return run(shared_, instance, order, control, clone_directory);
    }

    Task<Result<std::string>> route(const PoolerOptions& pooler, const agent::Order& order) override {
        co_return co_await on_own_thread<Result<std::string>>(
            shared_->clock, [pooler, databases = order.databases, target = order.upstream] {
                return retarget_file(pooler.databases_file, pooler.pid_file, databases, target);
            });
    }

    void tidy(const InstanceOptions& instance) override {
        spawn(shared_->clock.executor(), run_upkeep(shared_, instance, true));
    }

  private:
    using Deeds = Task<JobEnd> (*)(Tools&, const agent::Order&, const DeedRoom&);

    /// Nothing was looked at: what was so of the data directory is so.
    static JobEnd refused(Error error) { return {std::move(error), false, ""}; }

    static Task<JobEnd> run(SharedPtr shared, const InstanceOptions& instance, const agent::Order& order,
                            JobControl& control, Deeds deed) {
        auto& worker = shared->worker(instance.key);
        if (worker.job) {
            co_return refused(
                {ErrorKind::conflict, "another long deed is under way", instance.key.text(), ""});
        }
        worker.job = true;
        while (worker.upkeep && shared->clock.now() < control.deadline()) {
            worker.upkeep->cancel();
            co_await worker.idle.wait_until(control.deadline());
        }
        if (worker.upkeep) {
            worker.job = false;
            co_return refused({ErrorKind::timeout, "what an earlier deed left is still being removed",
                               instance.key.text(), ""});
        }
        Tools tools(shared->clock, shared->processes, instance, control);
        auto end = co_await deed(tools, order, DeedRoom(shared->state_directory, instance.key));
        worker.job = false;
        spawn(shared->clock.executor(), run_upkeep(shared, instance, false));
        co_return end;
    }

    SharedPtr shared_;
};

}  // namespace

std::unique_ptr<Jobs> make_jobs(Clock& clock, ProcessRunner& processes, std::string state_directory) {
    return std::make_unique<HostJobs>(clock, processes, std::move(state_directory));
}

}  // namespace baton::host
