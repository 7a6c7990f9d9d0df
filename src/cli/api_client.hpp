#pragma once
// The Engine API from the client's side: requests with docker's query order, replies as JSON,
// errors in docker's words. Safe from any thread.

#include <map>

#include "http/client.hpp"
#include "json/value.hpp"

namespace coffer::cli {

struct HostOptions {
    std::string host;  // "unix:///run/coffer.sock", "tcp://host:2376"
    bool tls = false;
    bool tls_verify = false;
    http::TlsFiles files;
};
// The host as docker writes it: scheme and port added, "localhost" for an empty one.
Result<std::string> normal_host(std::string_view text);

using Query = std::multimap<std::string, std::string>;

struct ApiCall {
    http::Method method = http::Method::Get;
    std::string path;
    Query query = {};
    std::optional<json::Value> body = {};
    http::Headers headers = {};
    std::function<Result<std::size_t>(char* to, std::size_t size)> source = {};
};

class Api {
  public:
    static Result<std::unique_ptr<Api>> create(const HostOptions& options);

    // Fails for a status of 400 and above: "Error response from daemon: ...".
    Result<http::Response> open(const ApiCall& call);
    // The whole reply; null when it is empty.
    Result<json::Value> ask(const ApiCall& call);
    // The reply's bytes as they are, for inspect.
    Result<std::string> text(const ApiCall& call);
    Result<http::Upgraded> hijack(const ApiCall& call);

    Result<json::Value> get(std::string path, Query query = {});
    Result<json::Value> post(std::string path, Query query = {},
                             std::optional<json::Value> body = {});
    Result<json::Value> remove(std::string path, Query query = {});
    // Where the daemon is, as the errors print it.
    const std::string& host() const { return host_; }

  private:
    Api(std::string host, http::Endpoint endpoint);
    http::Call encode(const ApiCall& call) const;
    Failure explain(Error error) const;

    std::string host_;
    http::Client client_;
};

// "/containers/<name>" with the name encoded. The Api refuses the path of an empty name.
std::string container_path(std::string_view name, std::string_view rest = {});
// "/images/<name>" where the slashes of the name stay.
std::string image_path(std::string_view name, std::string_view rest = {});
// filters={"status":{"running":true}} from "status=running" words; nothing when there are none.
void add_filters(Query& query, const std::vector<std::string>& filters);

// Reads a stream of JSON documents, one a line or one after the other, as they arrive.
class JsonLines {
  public:
    explicit JsonLines(http::Response& response) : response_(response) {}
    // nullopt at the end.
    Result<std::optional<json::Value>> next();

  private:
    http::Response& response_;
    std::string pending_;
};

// Members of JSON documents, with a default for what is absent or of another kind.
std::string text_of(const json::Value& value, std::string_view path);
std::int64_t int_of(const json::Value& value, std::string_view path);
bool bool_of(const json::Value& value, std::string_view path);
const json::Array& array_of(const json::Value& value, std::string_view path);
// The texts in a list.
std::vector<std::string> words_of(const json::Value& value, std::string_view path);
const json::Object& object_of(const json::Value& value, std::string_view path);

}  // namespace coffer::cli
