#include "http/client.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "http/address.hpp"
#include "http/server.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::http {
namespace {

Reply answer(const Request& request) {
    if (request.path == "/hijack") {
        return Reply::upgrade("x/raw", [](Upgraded upgraded) {
            MUST(sys::write_all(upgraded.fd.get(), upgraded.greeting + "hello "));
            const std::string rest = MUST(sys::read_all(upgraded.fd.get(), 1 << 20));
            MUST(sys::write_all(upgraded.fd.get(), upgraded.early + rest));
        });
    }
    if (request.path == "/stream") {
        return Reply::stream(200, "text/plain", [](StreamWriter& out) -> Result<void> {
            for (int i = 0; i < 100; ++i) TRY(out.write(std::string(1000, 'a')));
            return {};
        });
    }
    if (request.path == "/refuse") return Reply::text(404, "no such container");
    auto body = request.body->read_all(1 << 24);
    if (!body) return Reply::text(400, body.error().message);
    return Reply::text(200, format("{} {} {} {}", request.method_text, request.target, body->size(),
                                   request.peer.certificate));
}

// A real server on a unix socket or on tcp.
class ClientTest : public testing::Test {
  protected:
    static sys::TempDir make_folder() { return MUST(sys::TempDir::create()); }
    void start(std::vector<Listener> listeners) {
        server_ = std::make_unique<Server>(
            answer, [](const Error& error) { return Reply::text(500, error.message); });
        thread_ = std::thread([this, listeners = std::move(listeners)]() mutable {
            MUST(server_->run(std::move(listeners), stop_));
        });
    }
    Endpoint start_unix() {
        const std::string path = folder_.path() + "/s.sock";
        std::vector<Listener> listeners;
        listeners.push_back(MUST(listen_unix(path, -1)));
        start(std::move(listeners));
        return MUST(parse_endpoint("unix://" + path));
    }
    void TearDown() override {
        stop_.cancel();
        if (thread_.joinable()) thread_.join();
    }

    sys::TempDir folder_ = make_folder();
    Cancel stop_;
    std::unique_ptr<Server> server_;
    std::thread thread_;
};

std::string body_of(Response& response) {
    return MUST(response.body().read_all(1 << 24));
}

void exercise(Client& client, const std::string& certificate) {
    for (int i = 0; i < 3; ++i) {
        auto got = client.send({Method::Get, "/x?a=b"});
        ASSERT_TRUE(got) << got.error().message;
        EXPECT_EQ(body_of(*got), "GET /x?a=b 0 " + certificate);
    }
    Response posted = MUST(client.send({Method::Post, "/p", {}, std::string(300'000, 'b')}));
    EXPECT_EQ(body_of(posted), "POST /p 300000 " + certificate);

    Call streamed{Method::Post, "/s"};
    int left = 50;
    streamed.source = [&](char* to, std::size_t size) -> Result<std::size_t> {
        if (left-- == 0) return std::size_t{0};
        std::fill_n(to, size, 'c');
        return size;
    };
    Response sent = MUST(client.send(streamed));
    EXPECT_EQ(body_of(sent), "POST /s 3276800 " + certificate);

    Response received = MUST(client.send({Method::Get, "/stream"}));
    EXPECT_EQ(body_of(received).size(), 100'000U);

    const auto refused = MUST(client.upgrade({Method::Post, "/refuse"}));
    EXPECT_FALSE(refused.upgraded);
    EXPECT_EQ(refused.status, 404);
    EXPECT_EQ(refused.body, "no such container");

    auto hijacked = MUST(client.upgrade({Method::Post, "/hijack"}));
    ASSERT_TRUE(hijacked.upgraded);
    const std::string payload(200'000, 'd');
    std::thread writer([&] {
        MUST(sys::write_all(hijacked.upgraded->fd.get(), payload));
        ::shutdown(hijacked.upgraded->fd.get(), SHUT_WR);
    });
    const std::string rest = MUST(sys::read_all(hijacked.upgraded->fd.get(), 1 << 20));
    writer.join();
    EXPECT_EQ(hijacked.upgraded->early + rest, "hello " + payload);
}

TEST_F(ClientTest, UnixSocket) {
    Client client(start_unix());
    exercise(client, "");
}

TEST_F(ClientTest, HeadHasNoBody) {
    Client client(start_unix());
    Response response = MUST(client.send({Method::Head, "/x"}));
    EXPECT_EQ(response.status(), 200);
    EXPECT_EQ(body_of(response), "");
}

TEST_F(ClientTest, SeveralRequestsAtOnce) {
    Client client(start_unix());
    Response open = MUST(client.send({Method::Get, "/stream"}));
    Response other = MUST(client.send({Method::Get, "/y"}));
    EXPECT_EQ(body_of(other), "GET /y 0 ");
    EXPECT_EQ(body_of(open).size(), 100'000U);
}

TEST_F(ClientTest, SecondListenerOnALiveSocketIsRefused) {
    const Endpoint endpoint = start_unix();
    EXPECT_FALSE(listen_unix(endpoint.path, -1));
}

TEST_F(ClientTest, IdleConnectionsOfAnEndedServerAreReplaced) {
    const Endpoint endpoint = start_unix();
    Client client(endpoint);
    {
        Response response = MUST(client.send({Method::Get, "/1"}));
        body_of(response);
    }
    stop_.cancel();
    thread_.join();
    EXPECT_FALSE(client.send({Method::Get, "/2"}));
}

std::uint16_t port_of(const Listener& listener) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    ::getsockname(listener.socket.get(), reinterpret_cast<sockaddr*>(&storage), &size);
    return static_cast<std::uint16_t>(
        static_cast<unsigned>(static_cast<unsigned char>(storage.__ss_padding[0])) << 8U |
        static_cast<unsigned char>(storage.__ss_padding[1]));
}

TEST_F(ClientTest, Tcp) {
    std::vector<Listener> listeners;
    listeners.push_back(MUST(listen_tcp("127.0.0.1", 0, nullptr)));
    const std::uint16_t port = port_of(listeners[0]);
    start(std::move(listeners));
    Client client(MUST(parse_endpoint(format("tcp://127.0.0.1:{}", port))));
    exercise(client, "");
}

TEST_F(ClientTest, MutualTls) {
    const std::string dir = folder_.path() + "/";
    const auto openssl = [](const std::string& arguments) {
        sys::SpawnOptions options;
        options.argv = {"/bin/sh", "-c", "PATH=/usr/bin:/bin openssl " + arguments};
        const auto output = MUST(sys::run(options, "", std::chrono::seconds(20)));
        ASSERT_EQ(output.status, 0) << output.err;
    };
    const std::string key = " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ";
    openssl("req -x509 -days 2 -subj /CN=ca" + key + dir + "ca.key -out " + dir + "ca.pem");
    for (const char* name : {"server", "client"}) {
        const std::string at = dir + name;
        openssl(format("req -subj /CN={}{}{}.key -out {}.csr", name, key, at, at));
        MUST(sys::write_file(at + ".ext", "subjectAltName=IP:127.0.0.1\n"));
        openssl(
            format("x509 -req -days 2 -in {}.csr -CA {}ca.pem -CAkey {}ca.key -CAcreateserial "
                   "-extfile {}.ext -out {}.pem",
                   at, dir, dir, at, at));
    }
    const auto files = [&](const std::string& name) {
        return TlsFiles{dir + "ca.pem", dir + name + ".pem", dir + name + ".key"};
    };
    std::vector<Listener> listeners;
    auto tls = MUST(TlsContext::server(files("server")));
    listeners.push_back(MUST(listen_tcp("127.0.0.1", 0, std::move(tls))));
    const std::uint16_t port = port_of(listeners[0]);
    start(std::move(listeners));

    Endpoint endpoint = MUST(parse_endpoint(format("tcp://127.0.0.1:{}", port)));
    const TlsFiles ours = files("client");
    endpoint.tls = MUST(TlsContext::client(ours, TlsContext::Verify::Peer));
    Client client(endpoint);
    exercise(client, "client");

    // No certificate, and a server that the client's trust store does not know.
    endpoint.tls = MUST(TlsContext::client({dir + "ca.pem", "", ""}, TlsContext::Verify::Peer));
    EXPECT_FALSE(Client(endpoint).send({Method::Get, "/"}));
    endpoint.tls = MUST(TlsContext::client({"", "", ""}, TlsContext::Verify::Peer));
    EXPECT_FALSE(Client(endpoint).send({Method::Get, "/"}));
    endpoint.tls = nullptr;
    EXPECT_FALSE(Client(endpoint).send({Method::Get, "/"}));
}

TEST_F(ClientTest, OverTheCapIs503) {
    const std::string path = folder_.path() + "/s.sock";
    std::vector<Listener> listeners;
    listeners.push_back(MUST(listen_unix(path, -1)));
    server_ = std::make_unique<Server>(
        answer, [](const Error& error) { return Reply::text(500, error.message); },
        ServerOptions{.max_connections = 1});
    thread_ =
        std::thread([this, &listeners] { EXPECT_TRUE(server_->run(std::move(listeners), stop_)); });
    Client client(MUST(parse_endpoint("unix://" + path)));
    Response first = MUST(client.send({Method::Get, "/stream"}));
    Response second = MUST(client.send({Method::Get, "/x"}));
    EXPECT_EQ(second.status(), 503);
}

TEST(Endpoint, Texts) {
    EXPECT_EQ(parse_endpoint("unix:///run/x.sock")->path, "/run/x.sock");
    EXPECT_EQ(parse_endpoint("tcp://host:99")->port, 99);
    EXPECT_EQ(parse_endpoint("tcp://[::1]:99")->host, "::1");
    EXPECT_EQ(parse_endpoint("tcp://host")->port, 2375);
    EXPECT_FALSE(parse_endpoint("tcp://host:99999"));
    EXPECT_FALSE(parse_endpoint("tcp://host:9x"));
    EXPECT_FALSE(parse_endpoint("npipe:////./x"));
    EXPECT_FALSE(parse_endpoint("/run/x.sock"));
    EXPECT_TRUE(is_loopback("127.9.9.9"));
    EXPECT_TRUE(is_loopback("::1"));
    EXPECT_FALSE(is_loopback("127.evil.example"));
    EXPECT_FALSE(is_loopback("0.0.0.0"));
}

}  // namespace
}  // namespace coffer::http
