#include "daemon/request.hpp"

#include <gtest/gtest.h>

#include "api/exec.hpp"
#include "daemon/api_server.hpp"
#include "daemon/reply.hpp"
#include "engine/system.hpp"

namespace coffer::daemon {
namespace {

class TextBody final : public http::BodyReader {
  public:
    explicit TextBody(std::string text) : text_(std::move(text)) {}
    Result<std::size_t> read(char* to, std::size_t size) override {
        const std::size_t n = text_.copy(to, size, at_);
        at_ += n;
        return n;
    }
    bool at_end() const override { return at_ == text_.size(); }

  private:
    std::string text_;
    std::size_t at_ = 0;
};

struct Sample {
    http::Request request;
    TextBody body;

    explicit Sample(const std::string& query, const std::string& text = "",
                    const std::string& type = "application/json")
        : body(text) {
        request.query = *http::Query::parse(query);
        request.body = &body;
        if (!type.empty()) request.headers.set("Content-Type", type);
    }
    Request typed() const { return {request, kMaxApiVersion, {}}; }
};

TEST(Request, FlagsAreDockers) {
    const Sample sample("a=1&b=0&c=False&d=none&e=&f=yes&g=No");
    const Request request = sample.typed();
    EXPECT_TRUE(request.flag("a"));
    for (const char* name : {"b", "c", "d", "e", "g", "absent"}) EXPECT_FALSE(request.flag(name));
    EXPECT_TRUE(request.flag("f"));
    EXPECT_TRUE(request.flag("absent", true));
}

TEST(Request, Numbers) {
    const Sample sample("t=-1&h=12&x=1x&e=");
    EXPECT_EQ(*sample.typed().number("t", 5), -1);
    EXPECT_EQ(*sample.typed().number("e", 5), 5);
    EXPECT_EQ(*sample.typed().number("absent", 5), 5);
    EXPECT_EQ(sample.typed().number("x", 5).error().message,
              "strconv.ParseInt: parsing \"1x\": invalid syntax");
}

TEST(Request, FiltersInBothForms) {
    const Sample map(R"(filters={"status":{"running":true,"paused":false}})");
    EXPECT_EQ(map.typed().filters()->get("status"), std::vector<std::string>{"running"});
    const Sample list(R"(filters={"status":["running"]})");
    EXPECT_EQ(list.typed().filters()->get("status"), std::vector<std::string>{"running"});
    EXPECT_TRUE(Sample("filters=").typed().filters()->empty());
    for (const char* bad : {"filters=x", "filters=[]", R"(filters={"a":1})", R"(filters={"a":[1]})",
                            "filters={}{}"}) {
        EXPECT_EQ(Sample(bad).typed().filters().error().code, Code::InvalidArgument) << bad;
    }
}

TEST(Request, JsonBodies) {
    using Body = api::ExecStartRequest;
    EXPECT_TRUE(Sample("", R"({"Detach":true})").typed().body<Body>()->detach);
    EXPECT_TRUE(
        Sample("", R"({"Detach":true})", "application/json; charset=utf-8").typed().body<Body>());
    EXPECT_TRUE(Sample("", "", "").typed().body<Body>(Request::NeedBody::No));
    for (const auto& [text, type, message] : std::vector<std::array<std::string, 3>>{
             {"", "application/json", "invalid JSON: got EOF while reading request body"},
             {"{}", "text/plain",
              "unsupported Content-Type header (text/plain): must be 'application/json'"},
             {"{", "application/json", "invalid JSON"},
             {"{} {}", "application/json", "invalid JSON"},
             {R"({"Detach":1})", "application/json", "invalid JSON"},
             {std::string(100'000, '['), "application/json", "invalid JSON"},
             {"\"" + std::string(5'000'000, 'x') + "\"", "application/json", "larger than"},
         }) {
        const auto body = Sample("", text, type).typed().body<Body>();
        ASSERT_FALSE(body) << text.substr(0, 20);
        EXPECT_EQ(body.error().code, Code::InvalidArgument);
        EXPECT_NE(body.error().message.find(message), std::string::npos) << body.error().message;
    }
}

TEST(Router, Patterns) {
    using Names = std::vector<std::string>;
    EXPECT_EQ(match("/containers/{id}/start", "/containers/ab/start"), Names{"ab"});
    EXPECT_FALSE(match("/containers/{id}/start", "/containers/a/b/start"));
    EXPECT_FALSE(match("/containers/{id}/start", "/containers//start"));
    EXPECT_FALSE(match("/containers/{id}/start", "/containers/ab/startx"));
    EXPECT_EQ(match("/images/{name*}/json", "/images/reg:5000/a/b/json"), Names{"reg:5000/a/b"});
    EXPECT_EQ(match("/images/{name*}", "/images/a/b"), Names{"a/b"});
    EXPECT_FALSE(match("/images/{name*}/json", "/images/json"));
    EXPECT_FALSE(match("/images/{name*}", "/images/"));
}

std::string last_version;

Result<http::Reply> record(Context&, const Request& request) {
    last_version = to_string(request.version());
    return http::Reply::text(200, "ok");
}
Result<http::Reply> refuse(Context&, const Request&) {
    return fail(Code::Conflict, "in \"use\"");
}
Result<http::Reply> unchanged(Context&, const Request&) {
    return fail(Code::NotModified, "nothing to do");
}

constexpr Route kRoutes[] = {
    {http::Method::Get, "/images/{name*}/json", &refuse},
    {http::Method::Get, "/images/json", &record},
    {http::Method::Get, "/info", &record},
    {http::Method::Post, "/new", &record, Since{1, 44}},
    {http::Method::Get, "/unchanged", &unchanged},
};

class ApiServerTest : public testing::Test {
  protected:
    http::Reply get(const std::string& path, http::Method method = http::Method::Get) {
        Sample sample("");
        sample.request.method = method;
        sample.request.path = path;
        sample.request.peer.local = local_;
        sample.request.headers.set("Host", host_);
        if (!origin_.empty()) sample.request.headers.set("Origin", origin_);
        // The routes of this test use no service.
        return ApiServer(Router({kRoutes}), reinterpret_cast<Context&>(context_))
            .handle(sample.request);
    }

    std::max_align_t context_{};
    bool local_ = true;
    std::string host_ = "api.moby.localhost";
    std::string origin_;
};

TEST_F(ApiServerTest, VersionsOfThePath) {
    EXPECT_EQ(to_string(kMaxApiVersion), engine::kApiVersion);
    EXPECT_EQ(to_string(kMinApiVersion), engine::kMinApiVersion);
    EXPECT_EQ(get("/v1.30/info").status, 200);
    EXPECT_EQ(last_version, "1.30");
    EXPECT_EQ(get("/info").status, 200);
    EXPECT_EQ(last_version, "1.50");
    EXPECT_EQ(get("/v1.51/info").body,
              "{\"message\":\"client version 1.51 is too new. Maximum supported API version is "
              "1.50\"}\n");
    EXPECT_EQ(get("/v1.9/info").body,
              "{\"message\":\"client version 1.9 is too old. Minimum supported API version is "
              "1.24, please upgrade your client to a newer version\"}\n");
    EXPECT_EQ(get("/v1.51/info").status, 400);
    EXPECT_EQ(get("/v1.43/new", http::Method::Post).status, 404);
    EXPECT_EQ(get("/v1.44/new", http::Method::Post).status, 200);
}

TEST_F(ApiServerTest, UnknownPathsAndMethods) {
    for (const auto& reply : {get("/nope"), get("/v1.43/nope"), get("/info", http::Method::Put),
                              get("/v1.43"), get("/vx/info"), get("/info/"), get("//info")}) {
        EXPECT_EQ(reply.status, 404);
        EXPECT_EQ(reply.body, "{\"message\":\"page not found\"}\n");
        EXPECT_EQ(reply.headers.get("Content-Type"), "application/json");
        EXPECT_FALSE(reply.headers.has("Api-Version"));
    }
}

TEST_F(ApiServerTest, HeadersAndErrors) {
    const http::Reply reply = get("/images/a/b/json");
    EXPECT_EQ(reply.status, 409);
    EXPECT_EQ(reply.body, "{\"message\":\"in \\\"use\\\"\"}\n");
    EXPECT_EQ(reply.headers.get("Content-Type"), "application/json");
    EXPECT_EQ(reply.headers.get("Api-Version"), "1.50");
    EXPECT_EQ(reply.headers.get("Ostype"), "linux");
    EXPECT_EQ(get("/images/json").status, 200);
    EXPECT_EQ(get("/unchanged").status, 304);
    EXPECT_EQ(get("/unchanged").body, "");
}

TEST_F(ApiServerTest, BrowsersAreRefusedOnTcp) {
    host_ = "evil.example";
    EXPECT_EQ(get("/info").status, 200);  // unix socket
    local_ = false;
    EXPECT_EQ(get("/info").status, 403);
    for (const char* host : {"localhost:2375", "127.0.0.1:2375", "[::1]:2375", "10.0.0.1"}) {
        host_ = host;
        EXPECT_EQ(get("/info").status, 200) << host;
    }
    for (const char* host : {"127.0.0.1.evil.example", "localhost.evil.example", "", "[::1"}) {
        host_ = host;
        EXPECT_NE(get("/info").status, 200) << host;
    }
    host_ = "localhost";
    origin_ = "http://localhost";
    EXPECT_EQ(get("/info").status, 403);
}

}  // namespace
}  // namespace coffer::daemon
