#include "registry/registries.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "registry/fake_server_test.hpp"
#include "registry/repository.hpp"
#include "sys/file.hpp"

namespace coffer::registry {
namespace {

using std::chrono::milliseconds;

oci::Reference reference(const std::string& name) {
    return MUST(oci::parse_reference(name));
}

class Configured : public testing::Test {
  protected:
    void write(const std::string& name, const std::string& text) {
        const std::string path = dir_.path() + "/" + name;
        MUST(sys::make_dirs(path.substr(0, path.rfind('/'))));
        MUST(sys::replace_file(path, text));
    }
    // "host/repository" of each, in order.
    std::string order(const std::string& name) {
        const auto route = registries_.route(reference(name));
        if (!route) return route.error().message;
        std::vector<std::string> hosts;
        for (const RouteHost& one : route->hosts)
            hosts.push_back(one.host.address + "/" + one.repository);
        return join(hosts, " ");
    }

    sys::TempDir dir_ = *sys::TempDir::create();
    Registries registries_{[this] {
        Config config = no_files();
        config.registries_file = dir_.path() + "/registries.json";
        config.hosts_toml_dirs = {dir_.path() + "/certs.d"};
        config.registries_confs = {dir_.path() + "/registries.conf"};
        config.mirrors = {"https://hub.example"};
        return config;
    }()};
};

TEST_F(Configured, without_files_there_is_the_registry_itself) {
    EXPECT_EQ(order("a.example/x:1"), "a.example/x");
    EXPECT_EQ(order("busybox"), "hub.example/library/busybox registry-1.docker.io/library/busybox");
}

TEST_F(Configured, the_longest_prefix_counts) {
    write("registries.json", R"({"registries":[
        {"prefix":"docker.io/library/busybox","location":"c.example/bb"},
        {"prefix":"docker.io","mirrors":[{"location":"a.example"}]},
        {"prefix":"docker.io/library","mirrors":[{"location":"b.example/lib"}]},
        {"prefix":"*.corp.example","mirrors":[{"location":"m.example/corp"}]}]})");
    EXPECT_EQ(order("busybox"), "c.example/bb");
    EXPECT_EQ(order("alpine"), "b.example/lib/alpine registry-1.docker.io/library/alpine");
    EXPECT_EQ(order("team/x"), "a.example/team/x registry-1.docker.io/team/x");
    EXPECT_EQ(order("x.corp.example/y/z"), "m.example/corp/y/z x.corp.example/y/z");
    EXPECT_EQ(order("corp.example/y"), "corp.example/y");
}

TEST_F(Configured, files_of_others_are_read_without_our_own_or_when_it_names_them) {
    write("certs.d/a.example/hosts.toml", "[host.\"https://m.example\"]\n");
    write("certs.d/b.example_5000_/hosts.toml", "[host.\"https://p.example\"]\n");
    write("registries.conf",
          "[[registry]]\nlocation='a.example'\n[[registry.mirror]]\n"
          "location='n.example'\n[[registry]]\nlocation='c.example'\n");
    write("registries.conf.d/10.conf", "[[registry]]\nlocation='c.example'\nblocked=true\n");
    EXPECT_EQ(order("a.example/x"), "m.example/x a.example/x");
    EXPECT_EQ(order("b.example:5000/x"), "p.example/x b.example:5000/x");
    EXPECT_EQ(order("c.example/x"),
              "c.example/x is blocked by " + dir_.path() + "/registries.conf.d/10.conf:1");
    write("registries.json", "{}");
    EXPECT_EQ(order("a.example/x"), "a.example/x");
    write("registries.json", "{\"registries-conf\":[\"" + dir_.path() + "/registries.conf\"]}");
    EXPECT_EQ(order("a.example/x"), "n.example/x a.example/x");
}

TEST_F(Configured, default_folder_of_containerd_is_for_every_host) {
    write("certs.d/_default/hosts.toml", "[host.\"https://m.example\"]\n");
    EXPECT_EQ(order("a.example/x"), "m.example/x a.example/x");
    EXPECT_EQ(order("b.example/x"), "m.example/x b.example/x");
}

TEST_F(Configured, a_changed_file_is_read_again_and_a_bad_one_changes_nothing) {
    write("registries.json",
          R"({"registries":[{"prefix":"a.example","blocked":true,"message":"ask"}]})");
    const std::string blocked =
        "a.example/x is blocked by " + dir_.path() + "/registries.json: registries.0: ask";
    EXPECT_EQ(order("a.example/x"), blocked);
    write("registries.json", R"({"registrys":[]})");
    EXPECT_EQ(order("a.example/x"), blocked);
    EXPECT_EQ(
        MUST(registries_.explain(reference("a.example/x"))).problems,
        std::vector<std::string>{dir_.path() + "/registries.json: unknown key \"registrys\""});
    write("registries.json", R"({"registries":[]})");
    EXPECT_EQ(order("a.example/x"), "a.example/x");
}

TEST_F(Configured, a_file_may_be_a_symbolic_link) {
    write("data/hosts.toml", "server = \"https://linked.example\"\n");
    MUST(sys::make_dirs(dir_.path() + "/certs.d/a.example"));
    ASSERT_EQ(
        ::symlink("../../data/hosts.toml", (dir_.path() + "/certs.d/a.example/hosts.toml").c_str()),
        0);
    EXPECT_EQ(order("a.example/x:1"), "linked.example/x");
}

TEST_F(Configured, a_file_that_was_never_right_blocks_all) {
    write("registries.json", "{");
    EXPECT_NE(order("a.example/x").find("registries.json"), std::string::npos);
    EXPECT_EQ(registries_.route(reference("a.example/x")).error().code, Code::InvalidArgument);
}

TEST_F(Configured, logins_go_to_their_host_alone) {
    const Credentials client{"user", "secret", "", ""};
    const auto user_for = [&](const std::string& address, const std::string& file) {
        Host host;
        host.address = address;
        host.credentials = file;
        const auto found = credentials_for(host, "docker.io", client);
        return found ? found->username : "error: " + found.error().message;
    };
    EXPECT_EQ(user_for("registry-1.docker.io", ""), "user");
    EXPECT_EQ(user_for("mirror.example", ""), "");
    EXPECT_EQ(user_for("mirror.example", "client"), "user");
    write("auth.json",
          R"({"auths":{"mirror.example":{"auth":"YTpi"},"https://m2":{"username":"c"}}})");
    const std::string file = dir_.path() + "/auth.json";
    EXPECT_EQ(user_for("mirror.example", file), "a");
    EXPECT_EQ(user_for("m2", file), "c");
    EXPECT_EQ(user_for("m3", file), "error: no login for registry 'm3' in " + file);
    EXPECT_TRUE(user_for("m3", "/no/such").starts_with("error: read the logins of registry 'm3'"));
}

// Two servers on loopback: a mirror, and the registry itself.
class Mirrored : public testing::Test {
  protected:
    using Handler = FakeServer::Handler;
    std::unique_ptr<Repository> open(const std::string& mirror, const Credentials& login = {}) {
        const std::string path = dir_.path() + "/registries.json";
        MUST(sys::replace_file(path, R"({"registries":[{"prefix":")" + origin_.host() +
                                         R"(","mirrors":[{"location":")" + mirror + R"("}]}]})"));
        return MUST(Repository::open(
            registries_, reference(origin_.host() + "/r:1"),
            {.credentials = login, .limits = {}, .first_pause = milliseconds(1)}, cancel_));
    }
    Result<std::string> fetch(Repository& repository, std::uint64_t size) {
        std::string blob;
        TRY(repository.download("sha256:x", size, 0, [&](std::string_view bytes) -> Result<void> {
            blob += bytes;
            return {};
        }));
        return blob;
    }

    Handler at_mirror_ = [](const FakeRequest&) { return answer("404 Not Found", "{}"); };
    Handler at_origin_ = [](const FakeRequest&) { return answer("200 OK", "0123456789"); };
    FakeServer mirror_{[this](const FakeRequest& request) { return at_mirror_(request); }};
    FakeServer origin_{[this](const FakeRequest& request) { return at_origin_(request); }};
    sys::TempDir dir_ = *sys::TempDir::create();
    Registries registries_{[this] {
        Config config = no_files();
        config.registries_file = dir_.path() + "/registries.json";
        return config;
    }()};
    const Cancel cancel_;
};

TEST_F(Mirrored, the_next_host_is_asked_for_what_a_mirror_has_not) {
    const auto repository = open(mirror_.host() + "/hub");
    const auto reply = MUST(repository->manifest(HttpMethod::Get, "1", {}, 100));
    EXPECT_EQ(reply.body, "0123456789");
    EXPECT_EQ(mirror_.requests().at(0).line, "GET /v2/hub/r/manifests/1 HTTP/1.1");
    EXPECT_EQ(origin_.requests().at(0).line, "GET /v2/r/manifests/1 HTTP/1.1");
    EXPECT_EQ(MUST(fetch(*repository, 10)), "0123456789");
}

TEST_F(Mirrored, the_next_host_goes_on_where_a_mirror_broke_off) {
    at_mirror_ = [](const FakeRequest&) {
        return std::string("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
    };
    at_origin_ = [](const FakeRequest& request) {
        return request.header("Range") == "bytes=4-" ? answer("206 Partial Content", "456789")
                                                     : answer("500 Internal Server Error", "");
    };
    // The mirror gives 4 bytes each time, whatever it is asked for.
    EXPECT_EQ(MUST(fetch(*open(mirror_.host()), 10)), "0123456789");
}

TEST_F(Mirrored, a_mirror_that_is_down_is_asked_once) {
    const auto repository = open("127.0.0.1:1");
    EXPECT_EQ(MUST(fetch(*repository, 10)), "0123456789");
    EXPECT_TRUE(registries_.has_failed("127.0.0.1:1"));
    EXPECT_FALSE(registries_.has_failed(origin_.host()));
    at_origin_ = [](const FakeRequest&) { return answer("404 Not Found", "{}"); };
    // Of a host that is passed over nothing is said.
    const auto refused = fetch(*repository, 10);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message.find("127.0.0.1:1:"), std::string::npos);
}

TEST_F(Mirrored, errors_name_every_host) {
    at_origin_ = at_mirror_;
    const auto repository = open(mirror_.host());
    const auto refused = fetch(*repository, 10);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("before that: " + mirror_.host() + ": "),
              std::string::npos)
        << refused.error().message;
    const auto reply = MUST(repository->manifest(HttpMethod::Get, "1", {}, 100));
    EXPECT_EQ(reply.status, 404);
    EXPECT_NE(parse_error(reply).text.find(mirror_.host()), std::string::npos);
}

TEST_F(Mirrored, a_mirror_with_another_digest_is_passed_over) {
    at_mirror_ = [](const FakeRequest&) { return answer("200 OK", "other"); };
    const std::string digest =
        "sha256:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
    EXPECT_EQ(MUST(open(mirror_.host())->manifest(HttpMethod::Get, digest, {}, 100)).body,
              "0123456789");
}

TEST_F(Mirrored, a_login_is_for_the_registry_alone) {
    const auto closed = [](const FakeRequest& request) {
        return request.header("Authorization").empty()
                   ? answer("401 Unauthorized", "", "WWW-Authenticate: Basic realm=\"r\"\r\n")
                   : answer("200 OK", "0123456789");
    };
    at_mirror_ = at_origin_ = closed;
    EXPECT_EQ(MUST(fetch(*open(mirror_.host(), {"user", "secret", "", ""}), 10)), "0123456789");
    for (const FakeRequest& request : mirror_.requests())
        EXPECT_EQ(request.header("Authorization"), "");
}

TEST_F(Mirrored, pushes_go_to_the_registry_itself) {
    const auto repository = open(mirror_.host());
    auto target = MUST(repository->push_target());
    MUST(target.client.send(
        {.path = target.repository + "/x", .url = {}, .scope = {}, .headers = {}, .body = {}}));
    EXPECT_TRUE(mirror_.requests().empty());
    EXPECT_EQ(origin_.requests().at(0).line, "GET /v2/r/x HTTP/1.1");
}

}  // namespace
}  // namespace coffer::registry
