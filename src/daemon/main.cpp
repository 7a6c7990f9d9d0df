// cofferd: the composition root. Reads the configuration, opens the engine, serves the API until
// SIGTERM or SIGINT. Containers go on without it.

#include <grp.h>
#include <malloc.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/log.hpp"
#include "daemon/api_server.hpp"
#include "daemon/config.hpp"
#include "daemon/notify.hpp"
#include "daemon/registry/registry.hpp"
#include "daemon/reply.hpp"
#include "daemon/routes/context.hpp"
#include "daemon/routes/routes.hpp"
#include "engine/containers.hpp"
#include "engine/engine.hpp"
#include "http/server.hpp"
#include "sys/credentials.hpp"
#include "sys/file.hpp"

namespace coffer::daemon {

namespace {

// Arenas beyond a few only spread a mostly idle heap over more pages.
constexpr int kMaxArenas = 2;

int group_id(const std::string& name) {
    if (const auto number = parse_uint(name)) return static_cast<int>(*number);
    std::string buffer(16 * 1024, '\0');
    group entry{};
    group* found = nullptr;
    ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    return found == nullptr ? -1 : static_cast<int>(found->gr_gid);
}

Result<std::vector<http::Listener>> open_listeners(const Config& config) {
    std::shared_ptr<http::TlsContext> tls;
    if (config.tls) tls = TRY(http::TlsContext::server(config.tls_files));
    std::vector<sys::Fd> inherited = inherited_sockets();
    std::vector<http::Listener> listeners;
    for (const std::string& text : config.hosts) {
        const HostAddress address = TRY(parse_host(text, config.tls));
        switch (address.kind) {
            case HostAddress::Kind::Unix: {
                const int group = group_id(config.group);
                listeners.push_back(TRY(http::listen_unix(address.path, group < 0 ? 0 : group)));
                break;
            }
            case HostAddress::Kind::Tcp:
                listeners.push_back(TRY(http::listen_tcp(address.host, address.port, tls)));
                break;
            case HostAddress::Kind::Inherited:
                if (inherited.empty()) {
                    return fail(Code::InvalidArgument,
                                "no sockets found via socket activation: make sure the service "
                                "was started by systemd");
                }
                for (sys::Fd& socket : inherited) {
                    listeners.push_back(TRY(http::adopt_listener(std::move(socket))));
                }
                inherited.clear();
                break;
        }
        LOG_INFO("API listens on {}", text);
    }
    return listeners;
}

Result<engine::EngineOptions> engine_options(const Config& config) {
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) return fail(Code::Internal, "find own program: {}", error.message());
    engine::EngineOptions options;
    options.data_root = config.data_root;
    options.exec_root = config.exec_root;
    options.programs = self.parent_path();
    options.network.bridge = config.bridge;
    options.network.bip = config.bip;
    options.network.ipv6 = config.ipv6;
    options.network.fixed_cidr_v6 = config.fixed_cidr_v6;
    options.network.default_address_pools = config.default_address_pools;
    options.network.respect_host_firewall = config.respect_host_firewall;
    options.network.icc = config.security() == security::Level::Compat;
    options.registry.insecure_registries = config.insecure_registries;
    options.registry.allow_nondistributable = config.allow_nondistributable;
    options.registry.mirrors = config.registry_mirrors;
    options.registry.proxies = registry::proxies_of_environment();
    for (const auto member :
         {&registry::Proxies::http, &registry::Proxies::https, &registry::Proxies::none}) {
        if (!(config.proxies.*member).empty())
            options.registry.proxies.*member = config.proxies.*member;
    }
    options.registry.registries_file = config.registries_file;
    options.signature_policy = config.signature_policy;
    options.level = config.security();
    options.log_driver = config.log_driver;
    options.log_options = config.log_opts;
    options.cdi_folders = config.cdi_spec_dirs;
    if (options.cdi_folders.empty()) options.cdi_folders = {"/etc/cdi", "/var/run/cdi"};
    options.init = config.init;
    options.live_restore = config.live_restore;
    options.collection = config.collection;
    return options;
}

// Waits for a signal that ends the engine.
void wait_for_end(const sys::Fd& signals) {
    signalfd_siginfo info{};
    while (::read(signals.get(), &info, sizeof info) != sizeof info) {
    }
    LOG_INFO("ends on signal {}", info.ssi_signo);
}

// Blocked in all threads, to be read from the descriptor by one.
Result<sys::Fd> take_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::sigaddset(&set, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN);
    sys::Fd signals(::signalfd(-1, &set, SFD_CLOEXEC));
    if (!signals) return fail_errno("create signalfd");
    return signals;
}

Result<void> serve(const Config& config) {
    const sys::Fd signals = TRY(take_signals());
    engine::EngineOptions options = TRY(engine_options(config));
    const auto engine = TRY(engine::Engine::open(std::move(options)));
    const auto registry = TRY(Registry::start(config, engine->store(), engine->images()));
    // The socket appears only now: who connects finds the engine ready.
    std::vector<http::Listener> listeners = TRY(open_listeners(config));
    if (!config.pidfile.empty()) {
        TRY(sys::replace_file(config.pidfile, format("{}\n", ::getpid()), 0644, sys::Flush::No));
    }
    Context context{.artifacts = engine->artifacts(),
                    .containers = engine->containers(),
                    .execs = engine->execs(),
                    .files = engine->files(),
                    .images = engine->images(),
                    .events = engine->events(),
                    .system = engine->system(),
                    .collector = engine->collector(),
                    .stats = engine->stats(),
                    .networks = engine->networks(),
                    .volumes = engine->volumes(),
                    .secrets = engine->secrets()};
    const ApiServer api(all_routes(), context);
    http::Server server([&](const http::Request& request) { return api.handle(request); },
                        &error_reply);
    Cancel stop;
    std::thread ender([&] {
        wait_for_end(signals);
        ignore(notify("STOPPING=1"), "the service manager may be gone");
        stop.cancel();
    });
    ::malloc_trim(0);
    if (const auto told = notify("READY=1"); !told) LOG_WARN("{}", told.error().message);
    LOG_INFO("cofferd {} is ready", COFFER_VERSION);
    auto served = server.run(std::move(listeners), stop);
    if (!served) ::kill(::getpid(), SIGTERM);
    ender.join();
    if (registry) {
        auto ended = registry->stop();
        if (served) served = std::move(ended);
    }
    if (!config.live_restore || host_goes_down()) {
        LOG_INFO("stops all containers");
        engine->containers().stop_all();
    }
    if (!config.pidfile.empty()) ::unlink(config.pidfile.c_str());
    if (!served && served.error().code == Code::Unavailable) {
        // What they use cannot go before them, and they may wait for ever for a file system whose
        // server is gone. The disk is right at any time, as after a crash.
        LOG_WARN("{}", served.error().message);
        std::_Exit(0);
    }
    return served;
}

int run(std::span<const std::string> arguments) {
    const auto config = load_config(arguments);
    if (!config) {
        std::fprintf(stderr, "%s\n", config.error().message.c_str());
        std::fputs("See 'cofferd --help'.\n", stderr);
        return 1;
    }
    if (config->help) return std::fputs(help_text().c_str(), stdout) < 0 ? 1 : 0;
    if (config->man) return std::fputs(manual_text().c_str(), stdout) < 0 ? 1 : 0;
    if (config->version) return std::puts("Coffer version " COFFER_VERSION) < 0 ? 1 : 0;
    if (config->validate) return std::puts("configuration OK") < 0 ? 1 : 0;
    if (::geteuid() != 0) {
        std::fputs("cofferd needs to be started with root privileges.\n", stderr);
        return 1;
    }
    ::mallopt(M_ARENA_MAX, kMaxArenas);  // NOLINT(concurrency-mt-unsafe): the only thread yet
    // Modes are as the code says them: users of a container read files that are made here. What is
    // private lies below folders of 0700.
    ::umask(0022);
    log::set_level(config->level());
    if (const auto served = serve(*config); !served) {
        LOG_ERROR("{}", served.error().message);
        return 1;
    }
    return 0;
}

}  // namespace

}  // namespace coffer::daemon

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    // No core, which would have secrets in it, and nobody without our rights looks into us.
    const auto kept = coffer::sys::cred::set_not_dumpable();
    if (!kept) LOG_WARN("{}", kept.error().message);
    return coffer::daemon::run(arguments);
}
