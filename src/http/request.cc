#include "base/text.h"
#include "http/route.h"

namespace baton::http {

namespace {

std::string value_or_empty(const std::map<std::string, std::string>& values, const std::string& name) {
    const auto it = values.find(name);
    return it == values.end() ? std::string() : it->second;
}

/// `what`, or an empty one.
template <class T>
void fill(std::shared_ptr<const T>& what) {
    if (!what) what = std::make_shared<const T>();
}

}  // namespace

control::ViewPtr Context::view() const {
    const auto shown = control.view();
    if (shown && shown->topology && shown->problems && shown->config && shown->agents) return shown;
    auto complete = shown ? std::make_shared<control::View>(*shown) : std::make_shared<control::View>();
    fill(complete->topology);
    fill(complete->problems);
    fill(complete->config);
    fill(complete->agents);
    return complete;
}

std::string Request::param(const std::string& name) const {
    return value_or_empty(params, name);
}

std::string Request::query_value(const std::string& name) const {
    return value_or_empty(query, name);
}

std::string Request::header(std::string_view name) const {
    const auto it = std::ranges::find_if(headers, [&](const auto& h) { return iequals(h.first, name); });
    return it == headers.end() ? std::string() : it->second;
}

control::Caller Request::caller() const {
    return {user.empty() ? remote : user};
}

}  // namespace baton::http
