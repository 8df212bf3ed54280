#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/story.h"
#include "sim/truth.h"
#include "sim/watcher.h"
#include "sim/world.h"

namespace baton::sim {

struct Violation {
    std::string checker;
    MonoTime at{};
    std::string text;
};

/// What a checker may look at.
struct Examined {
    World& world;
    const Truth& truth;
    const Story& story;
    std::vector<Violation>& violations;
};

/// One property that every run must have. It hears of all that happens (Watcher), looks now and then, and
/// judges at the end.
class Checker : public Watcher {
  public:
    Checker(Examined examined, std::string_view name) : examined_(examined), name_(name) {}
    std::string_view name() const { return name_; }
    /// Every 100 ms of virtual time.
    virtual void look() {}
    /// The faults have ended: everything is mended and runs, and operators have done their part.
    virtual void mended() {}
    /// The run is over.
    virtual void at_end() {}

  protected:
    World& world() const { return examined_.world; }
    const Truth& truth() const { return examined_.truth; }
    const Story& story() const { return examined_.story; }
    /// The step says that `s` is to be promoted, by whichever of its names.
    bool tells_of_promotion(const store::RecoveryStep& step, const Server& s) const;
    /// Told once per text: a state that lasts is one violation.
    void violated(std::string text);

  private:
    Examined examined_;
    std::string_view name_;
    std::vector<std::string> told_;
};

/// A name, the property in one sentence, and how to make it.
struct CheckerInfo {
    std::string_view name;
    std::string_view property;
    std::unique_ptr<Checker> (*make)(Examined examined);
};
const std::vector<CheckerInfo>& checkers();

}  // namespace baton::sim
