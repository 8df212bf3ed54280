#pragma once

#include <boost/json/value.hpp>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "host/options.h"

/// The table of keys of the agent's configuration file, and how a value gets from there into its place.
namespace baton::host {

/// Where a key of an object T goes.
template <class T>
using Place =
    std::variant<std::string T::*, bool T::*, int T::*, Duration T::*, std::vector<std::string> T::*>;

template <class T>
struct OptionKey {
    std::string_view name;
    Place<T> place;
    std::string_view text;  ///< what it is for
    int least = 1;          ///< of numbers and seconds
    int most = 1;
};

std::span<const OptionKey<Options>> agent_keys();
std::span<const OptionKey<InstanceOptions>> instance_keys();
std::span<const OptionKey<PoolerOptions>> pooler_keys();

/// Everything that is wrong, one line each.
using Complaints = std::vector<std::string>;

/// Puts the value of one key into its place; a complaint names `where` (the key, in full).
template <class T>
void put_value(T& into, const OptionKey<T>& key, const boost::json::value& value, const std::string& where,
               Complaints& complaints);

extern template void put_value(Options&, const OptionKey<Options>&, const boost::json::value&,
                               const std::string&, Complaints&);
extern template void put_value(InstanceOptions&, const OptionKey<InstanceOptions>&, const boost::json::value&,
                               const std::string&, Complaints&);
extern template void put_value(PoolerOptions&, const OptionKey<PoolerOptions>&, const boost::json::value&,
                               const std::string&, Complaints&);

}  // namespace baton::host
