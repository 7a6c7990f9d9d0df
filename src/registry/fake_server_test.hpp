#pragma once
// A scripted HTTP server on loopback for the tests of this folder: each request goes to a handler
// that gives the raw answer. Its thread ends with it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/sync.hpp"
#include "registry/config.hpp"
#include "sys/fd.hpp"

namespace coffer::registry {

// Nothing that this machine is configured with.
inline Config no_files() {
    Config config;
    config.certs_dirs.clear();
    config.registries_file.clear();
    config.hosts_toml_dirs.clear();
    config.registries_confs.clear();
    return config;
}

struct FakeRequest {
    std::string line;  // "GET /v2/... HTTP/1.1"
    std::string head;  // all of it
    std::string header(const std::string& name) const {
        const auto at = head.find("\r\n" + name + ": ");
        if (at == std::string::npos) return {};
        const auto start = at + name.size() + 4;
        return head.substr(start, head.find("\r\n", start) - start);
    }
};

inline std::string answer(const std::string& status, const std::string& body,
                          const std::string& headers = {}) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           headers + "Connection: close\r\n\r\n" + body;
}

class FakeServer {
  public:
    using Handler = std::function<std::string(const FakeRequest&)>;
    explicit FakeServer(Handler handler) : handler_(std::move(handler)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        ::bind(listener_.get(), generic, size);
        ::listen(listener_.get(), 16);
        ::getsockname(listener_.get(), generic, &size);
        host_ = "127.0.0.1:" + std::to_string(::ntohs(address.sin_port));
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeServer() {
        stop_.cancel();
        thread_.join();
    }
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;
    FakeServer(FakeServer&&) = delete;
    FakeServer& operator=(FakeServer&&) = delete;

    const std::string& host() const { return host_; }
    std::vector<FakeRequest> requests() { return *requests_.lock(); }

  private:
    // One connection at a time, one request each. What is not HTTP (a TLS hello) is dropped.
    void serve() {
        for (;;) {
            pollfd waits[2] = {{listener_.get(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
            ::poll(waits, 2, -1);
            if (waits[1].revents != 0) return;
            const sys::Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            FakeRequest request;
            char buffer[4096];
            while (request.head.find("\r\n\r\n") == std::string::npos) {
                const auto got = ::read(connection.get(), buffer, sizeof buffer);
                if (got <= 0 || (request.head.empty() && buffer[0] == 0x16)) break;
                request.head.append(buffer, static_cast<std::size_t>(got));
            }
            if (request.head.find("\r\n\r\n") == std::string::npos) continue;
            request.line = request.head.substr(0, request.head.find("\r\n"));
            requests_.lock()->push_back(request);
            const std::string reply = handler_(request);
            static_cast<void>(!::send(connection.get(), reply.data(), reply.size(), MSG_NOSIGNAL));
        }
    }

    Handler handler_;
    sys::Fd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::string host_;
    Cancel stop_;
    Sync<std::vector<FakeRequest>> requests_;
    std::thread thread_;
};

}  // namespace coffer::registry
