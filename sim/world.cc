#include "sim/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <tuple>
#include <utility>

#include "base/json_writer.h"
#include "control/options.h"

namespace baton::sim {
namespace {

constexpr seconds settle_within{30};
constexpr seconds settle_on{3};
/// Each client numbers its rows from a start of its own.
constexpr uint64_t rows_of_a_client = 1'000'000'000;

std::string text_of(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string{};
}

}  // namespace

ManagerProcess::ManagerProcess(Ground& ground, const config::Config& config,
                               std::shared_ptr<store::State> disk, int life, const SimProcesses& hooks,
                               const ClockSetting& clock, agent::Agents& agents, HostAgents* hosts)
    : ground_(ground),
      process_(std::make_unique<Process>(ground.scheduler, clock)),
      engine_(ground, *process_, "manager"),
      hooks_(ground, *process_),
      store_(ground.scheduler, *process_, std::move(disk), ground.seed + static_cast<uint64_t>(life),
             control::store_limits(config), [this](const store::Command& c) { observe(c); }),
      house_(hosts == nullptr ? nullptr : hosts->house(*process_, store_)) {
    hooks_.play = hooks.play;
    hooks_.log = hooks.log;
    manager_ =
        std::make_unique<control::Manager>(control::Parts{.clock = *process_,
                                                          .engine = engine_,
                                                          .store = store_,
                                                          .processes = hooks_,
                                                          .hostname = "manager",
                                                          .token = fmt::format("life-{}", life),
                                                          .configuration_files = {},
                                                          .apply_outside = {},
                                                          .agents = house_ ? house_->registry() : agents},
                                           config);
    manager_->subscribe([this](const control::Event& event) { tell(event); });
    manager_->start();
    if (!house_) return;
    house_->registry().names_of([this](const InstanceKey& key) { return names_of(key); });
    house_->begin();
}

std::vector<InstanceKey> ManagerProcess::names_of(const InstanceKey& key) const {
    const auto known = manager_->view()->topology->find_instance(key);
    if (!known) return {};
    auto names = known->aliases;
    names.push_back(known->key);
    return names;
}

/// The event loop goes first: its coroutines may hold what the manager owns, and none of them runs again.
ManagerProcess::~ManagerProcess() {
    process_->kill();
    manager_.reset();
}

void ManagerProcess::tell(const control::Event& event) {
    const auto object = boost::json::parse(event.json).as_object();
    if (event.type == "problem") {
        ground_.trace.note("problem", fmt::format("{} {}: {}", text_of(object, "instance"),
                                                  text_of(object, "code"), text_of(object, "description")));
    } else if (event.type == "problem-cleared") {
        ground_.trace.note("cleared",
                           fmt::format("{} {}", text_of(object, "instance"), text_of(object, "code")));
    } else if (event.type == "recovery-step") {
        ground_.trace.note("recovery", text_of(object, "message"));
    }
}

void ManagerProcess::observe(const store::Command& command) {
    ground_.tell(&Watcher::journalled, command);
    const auto* audit = std::get_if<store::AddAudit>(&command);
    if (audit == nullptr) return;
    const auto& entry = audit->entry;
    if (entry.type == "recovery-blocked" || entry.type == "end-downtime")
        ground_.trace.note("audit", fmt::format("{}: {}", entry.instance.text(), entry.message));
}

World::World(uint64_t seed, std::string config)
    : ground_(seed),
      config_text_(std::move(config)),
      hooks_clock_(ground_.scheduler),
      hooks_(ground_, hooks_clock_) {
    hooks_.log = &hooks_run_;
    ground_.addresses["manager"] = "10.0.0.1";
}

World::~World() = default;

Server& World::add(const std::string& name, uint16_t port, const std::string& system_identifier) {
    const InstanceKey key{name, port};
    servers_.push_back(std::make_unique<Server>(ground_, key, system_identifier));
    auto& server = *servers_.back();
    ground_.servers[key] = &server;
    ground_.addresses.try_emplace(name, fmt::format("10.0.0.{}", 10 + servers_.size()));
    ground_.servers[{ground_.addresses[name], port}] = &server;
    return server;
}

Server& World::primary(const std::string& name, const std::string& system_identifier) {
    auto& server = add(name, 5432, system_identifier);
    server.become_primary(std::make_shared<Branch>());
    return server;
}

Server& World::standby(const std::string& name, const std::string& upstream, uint16_t port, bool with_slot) {
    auto& above = upstream.empty() ? *servers_.front() : (*this)[upstream];
    auto& server = add(name, port, above.system_identifier());
    server.become_standby(above, with_slot);
    return server;
}

Server& World::operator[](const std::string& name) {
    const auto at = std::ranges::find_if(servers_, [&](const auto& s) { return s->key().host == name; });
    if (at == servers_.end()) {
        std::fprintf(stderr, "the simulated world has no server %s\n", name.c_str());
        std::abort();
    }
    return **at;
}

void World::alias(const std::string& name, const std::string& other_host) {
    auto& server = (*this)[name];
    ground_.servers[{other_host, server.key().port}] = &server;
    ground_.addresses[other_host] = ground_.addresses[name];
}

Client& World::client(Load load) {
    std::vector<InstanceKey> hosts;
    for (const auto& s : servers_)
        hosts.push_back(s->key());
    const auto first_row = clients_.size() * rows_of_a_client + 1;
    clients_.push_back(
        std::make_unique<Client>(ground_, std::move(hosts), load, "client", router_.get(), first_row));
    return *clients_.back();
}

Router& World::router(Router::Kind kind) {
    std::vector<InstanceKey> hosts;
    for (const auto& s : servers_)
        hosts.push_back(s->key());
    router_ = std::make_unique<Router>(ground_, std::move(hosts), kind);
    return *router_;
}

void World::manager_clock(ClockSetting setting) {
    manager_clock_ = setting;
    if (!manager_) return;
    auto& process = manager_->process();
    process.set_drift(setting.drift_ppm, setting.wall_drift_ppm);
    process.jump_wall(setting.wall_ahead - process.setting().wall_ahead);
}

void World::jump_wall(Duration by) {
    manager_clock_.wall_ahead += by;
    if (manager_) manager_->process().jump_wall(by);
}

const config::Config& World::config() {
    if (config_) return *config_;
    const std::string text = config_text_.empty() ? "{}" : config_text_;
    const auto report =
        config::check_text(text, "world.json", [](const std::string&) { return std::nullopt; });
    if (!report.ok()) {
        std::fprintf(stderr, "%s\n", report.as_error().text().c_str());
        std::abort();
    }
    config_ = report.loaded.values;
    if (config_->DiscoverySeeds.empty()) {
        for (const auto& s : servers_)
            config_->DiscoverySeeds.push_back(s->key().text());
    }
    return *config_;
}

void World::start_manager() {
    manager_ = std::make_unique<ManagerProcess>(ground_, config(), disk_, ++lives_, hooks_, manager_clock_,
                                                *agents_, host_agents_.get());
    ground_.tell(&Watcher::manager_started);
}

void World::kill_manager() {
    ground_.trace.note("manager", "killed");
    if (host_agents_) host_agents_->house_is(nullptr);
    manager_.reset();
    ground_.tell(&Watcher::manager_ended);
}

HostAgents& World::guard_hosts(int drift_ppm) {
    host_agents_ = std::make_unique<HostAgents>(ground_, servers_, drift_ppm);
    host_agents_->begin();
    return *host_agents_;
}

void World::heal() {
    ground_.network.heal();
    links_changed();
}

void World::links_changed() {
    for (const auto& s : servers_)
        s->network_changed();
    ground_.tell(&Watcher::changed);
}

std::vector<std::string> World::hosts() const {
    std::vector<std::string> all;
    for (const auto& s : servers_)
        all.push_back(s->key().host);
    all.insert(all.end(), {"manager", router_ ? "router" : "client"});
    if (router_) all.emplace_back("router");
    return all;
}

/// Of two on timelines of the same number the one whose history standbys have, dead or alive: nobody else can
/// have confirmed commits, and it is the one that an operator keeps.
Server* World::leader() const {
    // Of two with as many standbys, people take the one that was written on.
    const auto rank = [this](const Server& s) {
        return std::tuple(
            s.timeline(),
            std::ranges::count_if(
                servers_,
                [&](const auto& other) { return other->in_recovery() && other->branch() == s.branch(); }),
            s.position());
    };
    Server* leader = nullptr;
    for (const auto& s : servers_) {
        if (!s->in_recovery() && (leader == nullptr || rank(*s) > rank(*leader))) leader = s.get();
    }
    return leader;
}

bool World::run_until(const std::function<bool()>& done, Duration within) {
    return ground_.scheduler.run_until(done, now() + within);
}

bool World::settle() {
    const bool found = run_until(
        [this] {
            return manager().view()->ready && manager().view()->topology->instance_count() == servers_.size();
        },
        settle_within);
    run_for(settle_on);
    ground_.trace.mark();
    return found;
}

std::vector<std::string> World::writable() const {
    std::vector<std::string> names;
    for (const auto& s : servers_) {
        if (s->accepts_writes()) names.push_back(s->key().host);
    }
    return names;
}

std::vector<uint64_t> World::missing_on(const std::string& name) {
    auto have = (*this)[name].rows();
    if (clients_.size() > 1) std::ranges::sort(have);
    std::vector<uint64_t> missing;
    for (const auto& c : clients_) {
        for (const auto row : c->acknowledged()) {
            if (!std::ranges::binary_search(have, row)) missing.push_back(row);
        }
    }
    return missing;
}

int World::promotions() const {
    int sum = 0;
    for (const auto& s : servers_)
        sum += s->promotions();
    return sum;
}

bool World::recovery_open() const {
    return std::ranges::any_of(disk_->recoveries,
                               [](const auto& r) { return r.second.state == store::RecoveryState::running; });
}

}  // namespace baton::sim
