#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "http/route.h"
#include "http/v1/json.h"

/// How a handler of the v1 table is put together: what it reads from the request, and its answer.
namespace baton::http::v1 {

using control::Control;
using topology::ClusterPtr;

// ---- Answers ----------------------------------------------------------------------------------------------
/// A value without an envelope.
Response bare(std::string json, int status = 200);
/// {"Code":"OK","Message":…,"Details":…}, status 200. `details` is JSON.
Response ok(std::string_view message, std::string_view details = "null");
/// {"Code":"ERROR",…}, status 500.
Response failed(std::string_view message, std::string_view details = "null");
Response failed(const Error& error);

/// The text of what `write` puts into a JsonWriter.
template <class Write>
std::string json_of(Write write) {
    JsonWriter out;
    write(out);
    return out.take();
}
std::string key_json(const InstanceKey& key);
std::string keys_json(std::span<const InstanceKey> keys);
std::string text_json(std::string_view text);
std::string instance_json(const View& view, const Instance& instance);
std::string instances_json(const View& view, std::vector<InstancePtr> instances);

/// A JSON array with one element for each of `items`, as `write(out, item)` writes it.
template <class Items, class Write>
std::string array_json(const Items& items, Write write) {
    JsonWriter out;
    out.begin_array();
    for (const auto& item : items)
        write(out, item);
    out.end_array();
    return out.take();
}

// ---- Reading the request ----------------------------------------------------------------------------------
/// A path segment or query value without the blanks and line ends that orchestrator-client leaves at the end.
std::string text_param(const Request& request, const std::string& name);
std::string text_query(const Request& request, const std::string& name);

/// The key from two path segments. The error names the text and what is wrong with it.
Result<InstanceKey> key_param(const Request& request, const std::string& host = "host",
                              const std::string& port = "port");
/// The same, under the name by which the server is known. Error not_found "Cannot read instance: db9:5432".
Result<InstancePtr> known_instance(const View& view, const Request& request, const std::string& host = "host",
                                   const std::string& port = "port");
/// Key of the known server, or the key as given when it is not known.
Result<InstanceKey> canonical_key(const View& view, const Request& request);
/// By name, former name, alias, id, host:port, or a host on the default port. Error not_found.
Result<ClusterPtr> known_cluster(const View& view, const std::string& hint);
/// Result 0 when `text` is no number from 0 to 1,000,000: as orchestrator does.
int page_of(const Request& request);
/// "30s", "10m", "2h", "3d", "1w"; at most 100 years.
Result<seconds> parse_duration(std::string_view text);

// ---- The table --------------------------------------------------------------------------------------------
/// Answers from the view alone. An error becomes an ERROR envelope.
using Reader = std::function<Result<Response>(const View&, const Request&)>;
/// Answers with the help of the control thread.
using Actor = std::function<Task<Result<Response>>(const Context&, const Request&)>;

Handler reading(Reader reader);
Handler acting(Actor actor);

/// Collects routes. `patterns` are parted by blanks: the same route under all its names.
class Table {
  public:
    Table& read(std::string_view patterns, Reader reader, std::string doc);
    Table& read_if_permitted(std::string_view patterns, Reader reader, std::string doc);
    Table& ask(std::string_view patterns, Actor actor, std::string doc);
    Table& act(std::string_view patterns, Actor actor, std::string doc);
    std::vector<Route> take() { return std::move(routes_); }

  private:
    Table& add(std::string_view patterns, bool needs_write, const Handler& handler, const std::string& doc);
    std::vector<Route> routes_;
};

}  // namespace baton::http::v1
