#pragma once

#include <memory>
#include <utility>

namespace baton::topology {

/// A map whose copies share their contents until one of them is written to: a snapshot of a large fleet takes
/// over the index of the one before when no name has changed. Copies may be read by any thread; only an owner
/// that shares its copy with nobody yet may write.
template <class Map>
class SharedMap {
  public:
    auto find(const auto& key) const { return contents_->find(key); }
    bool contains(const auto& key) const { return contents_->contains(key); }
    size_t size() const { return contents_->size(); }
    auto begin() const { return std::as_const(*contents_).begin(); }
    auto end() const { return std::as_const(*contents_).end(); }

    auto& operator[](const auto& key) { return own()[key]; }
    template <class... Arguments>
    auto emplace(Arguments&&... arguments) {
        return own().emplace(std::forward<Arguments>(arguments)...);
    }
    auto try_emplace(const auto& key, const auto& value) { return own().try_emplace(key, value); }
    void reserve(size_t count) { own().reserve(count); }

  private:
    Map& own() {
        if (contents_.use_count() > 1) contents_ = std::make_shared<Map>(*contents_);
        return *contents_;
    }

    std::shared_ptr<Map> contents_ = std::make_shared<Map>();
};

}  // namespace baton::topology
