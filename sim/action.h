#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace baton::sim {

/// Something to be done once, now or later. Moves, does not copy; what it captures lies within it as long as
/// that fits, since a run makes a hundred thousand of them. The argument is false where it was cancelled.
class Action {
  public:
    Action() = default;
    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, Action>)
    Action(F&& f) {
        emplace(std::forward<F>(f));
    }
    Action(Action&& other) noexcept { take(other); }
    Action& operator=(Action&& other) noexcept {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    ~Action() { reset(); }

    template <class F>
    void emplace(F&& f) {
        using Held = std::decay_t<F>;
        reset();
        if constexpr (sizeof(Held) <= sizeof(room_) && alignof(Held) <= alignof(std::max_align_t) &&
                      std::is_nothrow_move_constructible_v<Held>) {
            ::new (static_cast<void*>(room_)) Held(std::forward<F>(f));
            kind_ = &inside<Held>;
        } else {
            ::new (static_cast<void*>(room_)) Held*(new Held(std::forward<F>(f)));
            kind_ = &outside<Held>;
        }
    }
    void reset() {
        if (const auto* kind = std::exchange(kind_, nullptr)) kind->destroy(room_);
    }
    void operator()(bool came = true) { kind_->call(room_, came); }
    explicit operator bool() const { return kind_ != nullptr; }

  private:
    struct Kind {
        void (*call)(void*, bool);
        void (*move)(void* to, void* from);  ///< and destroys what is left of it
        void (*destroy)(void*);
    };
    template <class Held>
    static void call_it(Held& held, bool came) {
        if constexpr (std::is_invocable_v<Held&, bool>) {
            held(came);
        } else if constexpr (std::is_invocable_v<Held&>) {
            held();
        } else {
            std::move(held)(came);
        }
    }
    template <class Held>
    static constexpr Kind inside{
        .call = [](void* room, bool came) { call_it(*static_cast<Held*>(room), came); },
        .move =
            [](void* to, void* from) {
                ::new (to) Held(std::move(*static_cast<Held*>(from)));
                static_cast<Held*>(from)->~Held();
            },
        .destroy = [](void* room) { static_cast<Held*>(room)->~Held(); },
    };
    template <class Held>
    static constexpr Kind outside{
        .call = [](void* room, bool came) { call_it(**static_cast<Held**>(room), came); },
        .move = [](void* to, void* from) { ::new (to) Held*(*static_cast<Held**>(from)); },
        .destroy = [](void* room) { delete *static_cast<Held**>(room); },
    };
    void take(Action& other) {
        if ((kind_ = std::exchange(other.kind_, nullptr)) != nullptr) kind_->move(room_, other.room_);
    }

    const Kind* kind_ = nullptr;
    alignas(std::max_align_t) std::byte room_[112];
};

}  // namespace baton::sim
