#include "registry/client.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "registry/fake_server_test.hpp"

namespace coffer::registry {
namespace {

using std::chrono::milliseconds;

ClientOptions options_for(const FakeServer& server, Credentials credentials = {}) {
    ClientOptions options;
    options.host = server.host();
    options.credentials = std::move(credentials);
    options.config.certs_dirs.clear();
    options.limits = {milliseconds(2000), milliseconds(300)};
    options.first_pause = milliseconds(1);
    return options;
}

const Credentials kUser{"user", "secret", "", ""};

Result<std::string> fetch(Client& client, std::uint64_t size) {
    std::string blob;
    std::uint64_t received = 0;
    TRY(client.download("a/b", "sha256:x", size, received,
                        [&](std::string_view bytes) -> Result<void> {
                            blob += bytes;
                            return {};
                        }));
    return blob;
}

TEST(Client, plain_http_on_loopback_after_tls_failed) {
    FakeServer server([](const FakeRequest&) {
        return answer("200 OK", "{}", "Content-Type: a/b\r\nDocker-Content-Digest: d\r\n");
    });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    const auto reply = MUST(client.send(pull_ask("a/b", "manifests/latest", {"t/1", "t/2"}, 100)));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "{}");
    EXPECT_EQ(reply.content_type, "a/b");
    EXPECT_EQ(reply.digest, "d");
    ASSERT_EQ(server.requests().size(), 1U);
    EXPECT_EQ(server.requests()[0].line, "GET /v2/a/b/manifests/latest HTTP/1.1");
    EXPECT_EQ(server.requests()[0].header("Accept"), "t/1");
}

TEST(Client, too_large_an_answer_is_an_error) {
    FakeServer server([](const FakeRequest&) { return answer("200 OK", std::string(101, 'x')); });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    EXPECT_FALSE(client.send(pull_ask("a", "manifests/x", {}, 100)));
}

TEST(Client, token_is_fetched_once_with_the_users_name) {
    std::string host;
    FakeServer server([&](const FakeRequest& request) {
        if (request.line.starts_with("GET /token"))
            return answer("200 OK", R"({"token":"abc","expires_in":300})");
        if (request.header("Authorization") == "Bearer abc") return answer("200 OK", "yes");
        return answer(
            "401 Unauthorized", "",
            "WWW-Authenticate: Bearer realm=\"http://" + host + "/token\",service=\"reg\"\r\n");
    });
    host = server.host();
    const Cancel cancel;
    Client client(options_for(server, kUser), cancel);
    EXPECT_EQ(MUST(client.send(pull_ask("a/b", "manifests/1", {}, 100))).body, "yes");
    EXPECT_EQ(MUST(client.send(pull_ask("a/b", "manifests/2", {}, 100))).body, "yes");
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 4U);
    EXPECT_EQ(requests[1].line,
              "GET /token?service=reg&scope=repository%3Aa%2Fb%3Apull&account=user HTTP/1.1");
    EXPECT_EQ(requests[1].header("Authorization"), "Basic dXNlcjpzZWNyZXQ=");
}

TEST(Client, a_token_is_for_other_clients_of_the_same_user_alone) {
    std::string host;
    std::atomic<int> given = 0;
    FakeServer server([&](const FakeRequest& request) {
        if (request.line.starts_with("GET /token"))
            return answer("200 OK", format(R"({{"token":"t{}","expires_in":300}})", ++given));
        if (!request.header("Authorization").empty()) return answer("200 OK", "yes");
        return answer("401 Unauthorized", "",
                      "WWW-Authenticate: Bearer realm=\"http://" + host + "/token\"\r\n");
    });
    host = server.host();
    const Cancel cancel;
    Tokens tokens;
    const auto ask = [&](const Credentials& credentials, const std::string& repository) {
        ClientOptions options = options_for(server, credentials);
        options.tokens = &tokens;
        MUST(Client(std::move(options), cancel).send(pull_ask(repository, "manifests/1", {}, 100)));
        return server.requests().back().header("Authorization");
    };
    EXPECT_EQ(ask(kUser, "a"), "Bearer t1");
    EXPECT_EQ(ask(kUser, "a"), "Bearer t1");
    EXPECT_EQ(ask({}, "a"), "Bearer t2");
    EXPECT_EQ(ask({"user", "other", "", ""}, "a"), "Bearer t3");
    EXPECT_EQ(ask(kUser, "b"), "Bearer t4");
    EXPECT_EQ(ask(kUser, "a"), "Bearer t1");
}

TEST(Client, a_token_that_is_refused_is_fetched_anew) {
    std::string host;
    std::atomic<int> given = 0;
    FakeServer server([&](const FakeRequest& request) {
        if (request.line.starts_with("GET /token"))
            return answer("200 OK", format(R"({{"token":"t{}","expires_in":300}})", ++given));
        if (request.header("Authorization") == format("Bearer t{}", given.load()))
            return answer("200 OK", "yes");
        return answer("401 Unauthorized", "",
                      "WWW-Authenticate: Bearer realm=\"http://" + host + "/token\"\r\n");
    });
    host = server.host();
    const Cancel cancel;
    Tokens tokens;
    ClientOptions options = options_for(server, kUser);
    options.tokens = &tokens;
    MUST(Client(options, cancel).send(pull_ask("a", "manifests/1", {}, 100)));
    ++given;  // what it gave before counts no more
    EXPECT_EQ(MUST(Client(options, cancel).send(pull_ask("a", "manifests/1", {}, 100))).status,
              200);
    EXPECT_EQ(given.load(), 3);
}

TEST(Client, identity_token_is_exchanged_by_post) {
    std::string host;
    FakeServer server([&](const FakeRequest& request) {
        if (request.line.starts_with("POST /token"))
            return answer("200 OK", R"({"access_token":"abc"})");
        if (request.header("Authorization") == "Bearer abc") return answer("200 OK", "yes");
        return answer("401 Unauthorized", "",
                      "WWW-Authenticate: Bearer realm=\"http://" + host + "/token\"\r\n");
    });
    host = server.host();
    const Cancel cancel;
    Client client(options_for(server, {"", "", "refresh", ""}), cancel);
    EXPECT_EQ(MUST(client.send(pull_ask("a/b", "manifests/1", {}, 100))).body, "yes");
}

TEST(Client, basic_login_and_its_refusals) {
    FakeServer server([](const FakeRequest& request) {
        if (request.header("Authorization") == "Basic dXNlcjpzZWNyZXQ=")
            return answer("200 OK", "yes");
        return answer("401 Unauthorized", "", "WWW-Authenticate: Basic realm=\"r\"\r\n");
    });
    const Cancel cancel;
    Client known(options_for(server, kUser), cancel);
    EXPECT_EQ(MUST(known.send(pull_ask("a", "manifests/1", {}, 100))).body, "yes");
    Client anonymous(options_for(server), cancel);
    const auto refused = anonymous.send(pull_ask("a", "manifests/1", {}, 100));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message,
              "Get \"http://" + server.host() + "/v2/a/manifests/1\": no basic auth credentials");
    Client wrong(options_for(server, {"user", "wrong", "", ""}), cancel);
    EXPECT_EQ(MUST(wrong.send(pull_ask("a", "manifests/1", {}, 100))).status, 401);
    EXPECT_EQ(MUST(Client(options_for(server, kUser), cancel).log_in()), "");
    EXPECT_EQ(wrong.log_in().error().message, "login attempt to http://" + server.host() +
                                                  "/v2/ failed with status: 401 Unauthorized");
}

TEST(Client, login_tells_whether_the_registry_takes_it) {
    std::string host;
    FakeServer server([&](const FakeRequest& request) {
        if (request.line.starts_with("GET /token")) {
            return request.header("Authorization") == "Basic dXNlcjpzZWNyZXQ="
                       ? answer("200 OK", R"({"token":"abc","refresh_token":"for later"})")
                       : answer("401 Unauthorized", "");
        }
        if (request.header("Authorization") == "Bearer abc") return answer("200 OK", "{}");
        return answer("401 Unauthorized", "",
                      "WWW-Authenticate: Bearer realm=\"http://" + host + "/token\"\r\n");
    });
    host = server.host();
    const Cancel cancel;
    ClientOptions options = options_for(server, kUser);
    options.offline = OfflineAccess::Yes;
    Client known(options, cancel);
    EXPECT_EQ(MUST(known.log_in()), "for later");
    EXPECT_EQ(server.requests()[1].line,
              "GET /token?account=user&offline_token=true&client_id=coffer HTTP/1.1");
    Client wrong(options_for(server, {"user", "wrong", "", ""}), cancel);
    const auto refused = wrong.log_in();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Unauthorized);
    EXPECT_EQ(refused.error().message,
              "Get \"http://" + host + "/v2/\": unauthorized: incorrect username or password");
}

TEST(Client, redirect_to_another_host_carries_no_credentials) {
    FakeServer storage([](const FakeRequest&) { return answer("200 OK", "blob"); });
    FakeServer server([&](const FakeRequest& request) {
        if (request.header("Authorization").empty())
            return answer("401 Unauthorized", "", "WWW-Authenticate: Basic realm=\"r\"\r\n");
        return answer("307 Temporary Redirect", "gone",
                      "Location: http://" + storage.host() + "/data?sig=1\r\n");
    });
    const Cancel cancel;
    Client client(options_for(server, kUser), cancel);
    EXPECT_EQ(MUST(fetch(client, 4)), "blob");
    ASSERT_EQ(storage.requests().size(), 1U);
    EXPECT_EQ(storage.requests()[0].line, "GET /data?sig=1 HTTP/1.1");
    EXPECT_EQ(storage.requests()[0].header("Authorization"), "");
}

TEST(Client, redirect_on_the_same_host_keeps_credentials) {
    FakeServer server([](const FakeRequest& request) {
        if (request.header("Authorization").empty())
            return answer("401 Unauthorized", "", "WWW-Authenticate: Basic realm=\"r\"\r\n");
        if (request.line.starts_with("GET /other")) return answer("200 OK", "blob");
        return answer("302 Found", "", "Location: /other\r\n");
    });
    const Cancel cancel;
    Client client(options_for(server, kUser), cancel);
    EXPECT_EQ(MUST(fetch(client, 4)), "blob");
}

TEST(Client, another_host_cannot_ask_for_the_login) {
    std::string thief_host;
    FakeServer thief([&](const FakeRequest&) {
        return answer("401 Unauthorized", "", "WWW-Authenticate: Basic realm=\"r\"\r\n");
    });
    FakeServer server([&](const FakeRequest&) {
        return answer("302 Found", "", "Location: http://" + thief.host() + "/\r\n");
    });
    const Cancel cancel;
    Client client(options_for(server, kUser), cancel);
    EXPECT_FALSE(fetch(client, 4));
    for (const auto& request : thief.requests()) EXPECT_EQ(request.header("Authorization"), "");
}

Result<std::string> fetch_from(Client& client, const std::string& url) {
    std::string blob;
    std::uint64_t received = 0;
    TRY(client.download_from(url, "sha256:x", 4, received,
                             [&](std::string_view bytes) -> Result<void> {
                                 blob += bytes;
                                 return {};
                             }));
    return blob;
}

TEST(Client, a_manifest_points_to_the_registry_itself_or_away_from_here) {
    FakeServer elsewhere([](const FakeRequest&) { return answer("200 OK", "blob"); });
    const std::string port = elsewhere.host().substr(elsewhere.host().find(':'));
    FakeServer server([&](const FakeRequest& request) {
        if (request.line.starts_with("GET /away"))
            return answer("302 Found", "", "Location: http://localhost" + port + "/\r\n");
        return answer("200 OK", "blob");
    });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    MUST(client.send(pull_ask("a", "manifests/1", {}, 100)));
    EXPECT_EQ(MUST(fetch_from(client, "http://" + elsewhere.host() + "/layer")), "blob");
    ASSERT_EQ(elsewhere.requests().size(), 1U);
    for (const std::string& url :
         {"http://localhost" + port + "/", "http://127.0.0.2" + port + "/",
          std::string("http://169.254.169.254/"), std::string("http://10.0.0.1:1/"),
          "http://" + server.host() + "/away"}) {
        const auto refused = fetch_from(client, url);
        ASSERT_FALSE(refused) << url;
        EXPECT_EQ(refused.error().code, Code::Forbidden) << url << refused.error().message;
    }
    EXPECT_EQ(elsewhere.requests().size(), 1U);
}

TEST(Client, a_registry_on_loopback_does_not_send_us_to_the_links) {
    FakeServer server([&](const FakeRequest&) {
        return answer("302 Found", "", "Location: http://169.254.169.254/latest\r\n");
    });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    const auto refused = fetch(client, 4);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Forbidden);
}

TEST(Client, a_proxy_is_not_asked_for_what_is_near) {
    FakeServer proxy([](const FakeRequest&) { return answer("200 OK", "blob"); });
    FakeServer server([](const FakeRequest&) { return answer("200 OK", "yes"); });
    const Cancel cancel;
    auto options = options_for(server);
    options.config.proxies.http = proxy.host();
    Client client(options, cancel);
    MUST(client.send(pull_ask("a", "manifests/1", {}, 100)));
    EXPECT_EQ(MUST(fetch_from(client, "http://layers.example/")), "blob");
    for (const char* url : {"http://169.254.169.254/", "http://10.1.2.3/", "http://x.localhost/",
                            "http://2852039166/", "http://[::ffff:a9fe:a9fe]/"}) {
        const auto refused = fetch_from(client, url);
        ASSERT_FALSE(refused) << url;
        EXPECT_EQ(refused.error().code, Code::Forbidden) << url;
    }
    EXPECT_EQ(proxy.requests().size(), 1U);
}

TEST(Client, what_a_foreign_host_speaks_is_not_taken_for_the_registry) {
    FakeServer server([](const FakeRequest&) { return answer("200 OK", "blob"); });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    EXPECT_FALSE(fetch_from(client, "http://" + server.host() + "/layer"));
    EXPECT_TRUE(server.requests().empty());
    EXPECT_EQ(MUST(fetch(client, 4)), "blob");
}

TEST(Client, endless_redirects_and_other_schemes_are_refused) {
    FakeServer loop(
        [](const FakeRequest&) { return answer("302 Found", "", "Location: /again\r\n"); });
    const Cancel cancel;
    Client client(options_for(loop), cancel);
    EXPECT_FALSE(fetch(client, 4));
    EXPECT_LE(loop.requests().size(), 12U);
    FakeServer file([](const FakeRequest&) {
        return answer("302 Found", "", "Location: file:///etc/passwd\r\n");
    });
    Client reader(options_for(file), cancel);
    EXPECT_FALSE(fetch(reader, 4));
}

TEST(Client, busy_registry_is_asked_again) {
    int count = 0;
    FakeServer server([&](const FakeRequest&) {
        ++count;
        if (count == 1) return answer("503 Service Unavailable", "");
        if (count == 2) return answer("429 Too Many Requests", "", "Retry-After: 0\r\n");
        return answer("200 OK", "yes");
    });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    EXPECT_EQ(MUST(client.send(pull_ask("a", "manifests/1", {}, 100))).body, "yes");
    EXPECT_EQ(count, 3);
}

TEST(Client, broken_download_goes_on_where_it_stopped) {
    const std::string blob = "0123456789";
    FakeServer server([&](const FakeRequest& request) {
        const std::string range = request.header("Range");
        if (range.empty())  // announces ten bytes, sends four
            return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + blob.substr(0, 4);
        if (range == "bytes=4-")
            return "HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\n\r\n" + blob.substr(4, 2);
        return answer("206 Partial Content", blob.substr(6));
    });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    EXPECT_EQ(MUST(fetch(client, 10)), blob);
    EXPECT_EQ(server.requests().back().header("Range"), "bytes=6-");
}

TEST(Client, server_without_ranges_sends_all_again) {
    const std::string blob = "0123456789";
    int count = 0;
    FakeServer server([&](const FakeRequest&) {
        if (++count == 1)
            return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + blob.substr(0, 4);
        return answer("200 OK", blob);
    });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    EXPECT_EQ(MUST(fetch(client, 10)), blob);
}

TEST(Client, wrong_sizes_are_errors) {
    FakeServer server([](const FakeRequest&) { return answer("200 OK", "0123456789"); });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    EXPECT_EQ(MUST(fetch(client, 10)), "0123456789");
    EXPECT_FALSE(fetch(client, 9));
    EXPECT_FALSE(fetch(client, 11));
}

TEST(Client, always_truncated_gives_up) {
    FakeServer server([](const FakeRequest&) -> std::string {
        return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    const auto blob = fetch(client, 10);
    ASSERT_FALSE(blob);
    EXPECT_EQ(blob.error().code, Code::Unavailable);
}

TEST(Client, silent_server_is_given_up) {
    FakeServer server([](const FakeRequest&) {
        std::this_thread::sleep_for(milliseconds(400));
        return answer("200 OK", "late");
    });
    const Cancel cancel;
    auto options = options_for(server);
    options.limits.stall = milliseconds(100);
    Client client(options, cancel);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(client.send(pull_ask("a", "manifests/1", {}, 100)));
    EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5000));
}

TEST(Client, cancel_ends_a_transfer_at_once) {
    FakeServer server([](const FakeRequest&) {
        std::this_thread::sleep_for(milliseconds(500));
        return answer("200 OK", "late");
    });
    Cancel cancel;
    auto options = options_for(server);
    options.limits.stall = milliseconds(60'000);
    Client client(options, cancel);
    std::thread canceller([&] {
        std::this_thread::sleep_for(milliseconds(50));
        cancel.cancel();
    });
    const auto reply = client.send(pull_ask("a", "manifests/1", {}, 100));
    canceller.join();
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Code::Cancelled);
}

TEST(Client, sink_error_ends_the_download) {
    FakeServer server([](const FakeRequest&) { return answer("200 OK", "0123456789"); });
    const Cancel cancel;
    Client client(options_for(server), cancel);
    std::uint64_t received = 0;
    const auto done = client.download(
        "a", "sha256:x", 10, received,
        [](std::string_view) -> Result<void> { return fail_with(ENOSPC, "write blob"); });
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().sys_errno, ENOSPC);
    EXPECT_EQ(server.requests().size(), 1U);
}

Reply reply_of(long status, std::string body, std::string authenticate = {}) {
    Reply reply;
    reply.status = status;
    reply.body = std::move(body);
    reply.authenticate = std::move(authenticate);
    return reply;
}

TEST(RegistryError, docker_words) {
    EXPECT_EQ(parse_error(reply_of(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN",)"
                                        R"("message":"manifest unknown","detail":{}}]})"))
                  .text,
              "manifest unknown: manifest unknown");
    EXPECT_EQ(parse_error(reply_of(401, "", R"(Bearer realm="r",error="insufficient_scope")")).text,
              "denied: requested access to the resource is denied");
    EXPECT_EQ(parse_error(reply_of(401, "<html>")).text, "unauthorized: authentication required");
    EXPECT_EQ(parse_error(reply_of(500, "oops")).text, "received unexpected HTTP status: 500");
}

TEST(Address, redirects_are_resolved_and_checked) {
    EXPECT_EQ(*resolve_url("https://a:5000/v2/x", "/y?z"), "https://a:5000/y?z");
    EXPECT_EQ(*resolve_url("https://a/v2/x", "http://b/"), "http://b/");
    EXPECT_EQ(origin_of("HTTPS://Host:443/x")->host, "host");
    EXPECT_EQ(origin_of("https://host:5000/x")->host, "host:5000");
    EXPECT_FALSE(origin_of("ftp://host/"));
    EXPECT_FALSE(origin_of("https://u:p@host/"));
    EXPECT_FALSE(origin_of("no address"));
}

}  // namespace
}  // namespace coffer::registry
