#pragma once

#include <span>
#include <string>
#include <string_view>

#include "doctor/facts.h"
#include "doctor/report.h"

/// The table of checks: each a pure function of the facts.
namespace baton::doctor {

/// Where a check writes what it found about one cluster, or about the manager.
class Notes {
  public:
    Notes(std::vector<Finding>& out, std::string_view check, std::string cluster, std::string subject)
        : out_(out), check_(check), cluster_(std::move(cluster)), subject_(std::move(subject)) {}

    void pass(std::string text, std::string remedy = {}) {
        add(Level::pass, std::move(text), std::move(remedy));
    }
    void warn(std::string text, std::string remedy) { add(Level::warn, std::move(text), std::move(remedy)); }
    void fail(std::string text, std::string remedy) { add(Level::fail, std::move(text), std::move(remedy)); }
    void add(Level level, std::string text, std::string remedy) {
        out_.push_back(
            {level, std::string(check_), {}, cluster_, subject_, false, std::move(text), std::move(remedy)});
    }
    void add(Level level, const InstanceKey& server, std::string text, std::string remedy = {}) {
        out_.push_back({level,
                        std::string(check_),
                        {},
                        cluster_,
                        server.text(),
                        true,
                        std::move(text),
                        std::move(remedy)});
    }
    void pass(const InstanceKey& s, std::string text, std::string remedy = {}) {
        add(Level::pass, s, std::move(text), std::move(remedy));
    }
    void warn(const InstanceKey& s, std::string text, std::string remedy) {
        add(Level::warn, s, std::move(text), std::move(remedy));
    }
    void fail(const InstanceKey& s, std::string text, std::string remedy) {
        add(Level::fail, s, std::move(text), std::move(remedy));
    }
    /// Nothing but passes was written so far.
    bool clean() const {
        for (size_t i = begin_; i < out_.size(); ++i) {
            if (out_[i].level != Level::pass) return false;
        }
        return true;
    }

  private:
    std::vector<Finding>& out_;
    std::string_view check_;
    std::string cluster_, subject_;
    size_t begin_ = out_.size();
};

struct Check {
    std::string_view id;
    std::string_view title;
    std::string_view looks_at;
    /// One of the two is null: a check is about the manager and its machine, or about each cluster.
    void (*of_manager)(const Facts&, Notes&);
    void (*of_cluster)(const Facts&, const Cluster&, Notes&);
};

/// All checks, in the order of the report.
std::span<const Check> all_checks();

/// Runs the whole table. After a configuration that does not load only the checks of the manager make sense,
/// and only the first of them runs.
Report diagnose(const Facts& facts);

}  // namespace baton::doctor
