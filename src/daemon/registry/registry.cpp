#include "daemon/registry/registry.hpp"

#include <thread>

#include "base/log.hpp"
#include "daemon/browsers.hpp"
#include "daemon/registry/registry_server.hpp"
#include "engine/own_registry.hpp"
#include "http/address.hpp"
#include "http/server.hpp"

namespace coffer::daemon {

namespace {

Result<std::vector<http::Listener>> listen(const RegistryConfig& config) {
    std::shared_ptr<http::TlsContext> tls;
    if (!config.tls_files.cert.empty()) tls = TRY(http::TlsContext::server(config.tls_files));
    std::vector<http::Listener> listeners;
    for (const std::string& text : config.addresses) {
        const HostAddress address = TRY(parse_registry_address(text));
        if (address.kind == HostAddress::Kind::Unix) {
            listeners.push_back(TRY(http::listen_unix(address.path, 0)));
        } else {
            listeners.push_back(TRY(http::listen_tcp(address.host, address.port, tls)));
        }
        LOG_INFO("registry '{}' listens on {}", config.name, text);
    }
    return listeners;
}

// A page in a browser has no password of a user and no certificate of a client, and by TLS it does
// not get to a host that is not its own.
bool may_come_from_a_page(const RegistryConfig& config) {
    if (!config.tls_files.ca.empty()) return false;
    return config.htpasswd.empty() || (config.anonymous_read && config.tls_files.cert.empty());
}

}  // namespace

struct Registry::Impl {
    Impl(const RegistryConfig& config, store::Store& store, engine::Images& images,
         std::unique_ptr<Access> access_)
        : registry(store, images, {.name = config.name, .keep_untagged = config.keep_untagged}),
          access(std::move(access_)),
          checks_host(may_come_from_a_page(config)),
          own_name(config.name.substr(0, config.name.rfind(':'))),
          api(registry, *access),
          server([this](const http::Request& request) { return handle(request); },
                 &RegistryServer::error,
                 {.max_connections = 256, .stall_limit = std::chrono::minutes(2)}) {}

    http::Reply handle(const http::Request& request) const {
        if (checks_host) {
            const auto allowed = refuse_browsers(request, own_name);
            if (!allowed) return RegistryServer::error(allowed.error());
        }
        return api.handle(request);
    }

    engine::OwnRegistry registry;
    std::unique_ptr<Access> access;
    bool checks_host;
    std::string own_name;
    RegistryServer api;
    http::Server server;
    Cancel end;
    Result<void> served;
    std::thread thread;
};

Registry::Registry(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Registry::~Registry() {
    ignore(stop(), "its caller would have stopped it before");
}

Result<std::unique_ptr<Registry>> Registry::start(const Config& config, store::Store& store,
                                                  engine::Images& images) {
    if (config.registry.addresses.empty()) return std::unique_ptr<Registry>();
    auto access = TRY(Access::create(
        {.htpasswd = config.registry.htpasswd, .anonymous_read = config.registry.anonymous_read}));
    auto listeners = TRY(listen(config.registry));
    auto impl = std::make_unique<Impl>(config.registry, store, images, std::move(access));
    Impl* raw = impl.get();
    raw->thread = std::thread([raw, sockets = std::move(listeners)]() mutable {
        raw->served = raw->server.run(std::move(sockets), raw->end);
    });
    return std::unique_ptr<Registry>(new Registry(std::move(impl)));
}

Result<void> Registry::stop() {
    impl_->end.cancel();
    if (impl_->thread.joinable()) impl_->thread.join();
    return impl_->served;
}

}  // namespace coffer::daemon
