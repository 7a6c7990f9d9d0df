#include "network/resolver.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <thread>

#include "base/log.hpp"
#include "base/sync.hpp"
#include "network/forwarder.hpp"
#include "network/name_cache.hpp"
#include "network/resolv.hpp"
#include "sys/netlink.hpp"
#include "sys/nft.hpp"
#include "sys/reactor.hpp"

namespace coffer::network {
namespace {

constexpr std::size_t kMostConnections = 16;  // of one container
constexpr int kMostAtOnce = 32;               // datagrams of one container before the next's turn
constexpr std::chrono::seconds kLife{10};     // of a connection
constexpr std::chrono::milliseconds kRetry{1000};  // when descriptors have run out

// The rules of a network namespace. Ports are rewritten packet by packet: nothing is tracked. A
// flush replaces those of an engine before us; deleting the table would make every start wait.
std::string port_rules(std::uint16_t udp, std::uint16_t tcp) {
    std::string rules =
        "add table ip coffer-dns\n"
        "add chain ip coffer-dns output { type filter hook output priority raw; }\n"
        "flush chain ip coffer-dns output\n";
    for (const auto& [protocol, port] : {std::pair{"udp", udp}, {"tcp", tcp}}) {
        rules += format(
            "add rule ip coffer-dns output ip daddr {0} {1} dport 53 {1} dport set {2}\n"
            "add rule ip coffer-dns output ip saddr {0} {1} sport {2} {1} sport set 53\n",
            kResolverAddress, protocol, port);
    }
    return rules;
}

struct Listener {
    sys::Fd fd;
    std::uint16_t port = 0;
};

Result<Listener> listen_at(int type) {
    Listener listener{sys::Fd(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))};
    if (!listener.fd) return fail_errno("open a socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, kResolverAddress, &address.sin_addr);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener.fd.get(), generic, size) != 0 ||
        ::getsockname(listener.fd.get(), generic, &size) != 0)
        return fail_errno("bind to {}", kResolverAddress);
    if (type == SOCK_STREAM && ::listen(listener.fd.get(), kMostConnections) != 0)
        return fail_errno("listen at {}", kResolverAddress);
    listener.port = ntohs(address.sin_port);
    return listener;
}

void shuffle(std::vector<Address>& addresses) {
    if (addresses.size() < 2) return;
    thread_local std::minstd_rand random{std::random_device{}()};
    std::shuffle(addresses.begin(), addresses.end(), random);
}

}  // namespace

struct Resolver::Impl {
    struct Connection {
        sys::Fd fd;
        std::string received;
        std::string to_send;
        bool asking = false;  // one question at a time: the client's next waits in the socket
        std::uint64_t timer = 0;
    };
    struct Client {
        std::string id;
        std::uint64_t serial = 0;  // of this service: an answer may come after the next has begun
        sys::Fd netns;             // held only where it is needed: it keeps the namespace alive
        std::vector<std::string> servers;
        Listener udp;
        Listener tcp;
        std::map<std::uint64_t, Connection> connections;
        std::uint64_t timer = 0;
    };
    using Send = std::function<void(const std::string& reply)>;

    Impl(Lookup how, Learn told, sys::Reactor made, sys::Fd bell)
        : lookup(std::move(how)),
          learn(std::move(told)),
          reactor(std::move(made)),
          wake(std::move(bell)) {}
    ~Impl() {
        post([this] { reactor.stop(); });
        if (thread.joinable()) thread.join();
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    Impl(Impl&&) = delete;
    Impl& operator=(Impl&&) = delete;

    void post(std::function<void()> job);
    void run();
    void run_jobs();

    // On the thread:
    void begin(const std::shared_ptr<Client>& client);
    void end(const std::string& id);
    void handle(Client& client, const std::string& message, bool stream, const Send& send);
    void forward(Client& client, const std::string& message, const dns::Query& query, bool stream,
                 const Send& send);
    void on_datagrams(Client& client);
    void on_connect(Client& client);
    void on_stream(Client& client, std::uint64_t key, std::uint32_t ready);
    void next_question(Client& client, std::uint64_t key);
    bool flush(Client& client, std::uint64_t key);
    void close(Client& client, std::uint64_t key);
    Client* find(const std::string& id, std::uint64_t serial);

    Lookup lookup;
    Learn learn;
    sys::Reactor reactor;
    sys::Fd wake;
    Sync<std::vector<std::function<void()>>> jobs;
    Forwarder forwarder{reactor};
    NameCache cache;
    std::map<std::string, std::shared_ptr<Client>> clients;
    std::uint64_t last_serial = 0;
    std::thread thread;
};

void Resolver::Impl::post(std::function<void()> job) {
    jobs.lock()->push_back(std::move(job));
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake.get(), &one, sizeof one));
}

void Resolver::Impl::run_jobs() {
    std::uint64_t count = 0;
    static_cast<void>(!::read(wake.get(), &count, sizeof count));
    for (const auto& job : std::exchange(*jobs.lock(), {})) job();
}

void Resolver::Impl::run() {
    const auto added = reactor.add(wake.get(), sys::kReadable, [this](auto) { run_jobs(); });
    const auto done = added ? reactor.run() : added;
    if (!done) LOG_ERROR("the resolver ends: {}", done.error().message);
}

Resolver::Impl::Client* Resolver::Impl::find(const std::string& id, std::uint64_t serial) {
    const auto found = clients.find(id);
    return found == clients.end() || found->second->serial != serial ? nullptr
                                                                     : found->second.get();
}

void Resolver::Impl::begin(const std::shared_ptr<Client>& client) {
    end(client->id);
    client->serial = ++last_serial;
    Client* const raw = client.get();
    auto added =
        reactor.add(raw->udp.fd.get(), sys::kReadable, [this, raw](auto) { on_datagrams(*raw); });
    if (added)
        added =
            reactor.add(raw->tcp.fd.get(), sys::kReadable, [this, raw](auto) { on_connect(*raw); });
    if (!added) LOG_ERROR("names of {}: {}", client->id, added.error().message);
    clients[client->id] = client;
}

void Resolver::Impl::end(const std::string& id) {
    const auto found = clients.find(id);
    if (found == clients.end()) return;
    forwarder.drop(id);
    cache.drop(id);
    Client& client = *found->second;
    while (!client.connections.empty()) close(client, client.connections.begin()->first);
    reactor.remove(client.udp.fd.get());
    reactor.remove(client.tcp.fd.get());
    if (client.timer != 0) reactor.cancel(client.timer);
    clients.erase(found);
}

// `send` is called now or later, once; not at all for what is no question.
void Resolver::Impl::handle(Client& client, const std::string& message, bool stream,
                            const Send& send) {
    const auto query = dns::parse_query(message);
    if (!query) return;
    if (!query->standard) return send(dns::error_answer(message, *query, dns::Rcode::NotImp));
    NameAnswer answer = lookup(client.id, query->question);
    if (!answer.known && answer.may_ask_outside)
        return forward(client, message, *query, stream, send);
    if (!answer.known && answer.refused)
        return send(dns::error_answer(message, *query, dns::Rcode::Refused));
    if (!answer.known) return send(dns::error_answer(message, *query, dns::Rcode::ServFail));
    if (!answer.pointer.empty()) return send(dns::pointer_answer(message, *query, answer.pointer));
    shuffle(answer.addresses);
    send(dns::address_answer(message, *query, answer.addresses));
}

void Resolver::Impl::forward(Client& client, const std::string& message, const dns::Query& query,
                             bool stream, const Send& send) {
    Forwarder::Question question;
    question.owner = client.id;
    question.message = message;
    question.stream = stream;
    question.servers = client.servers;
    if (client.servers.empty())
        question.servers = host_name_servers();
    else
        question.netns_fd = client.netns.get();
    const std::string scope =
        format("{} {} {}", client.id, stream ? "tcp" : "udp", join(question.servers, " "));
    if (const auto kept = cache.find(scope, message, NameCache::Clock::now())) {
        learn(client.id, query.question, *kept);
        return send(*kept);
    }
    question.done = [this, id = client.id, scope, message, query, send](const std::string& reply) {
        if (!reply.empty()) learn(id, query.question, reply);
        if (!reply.empty()) cache.store(scope, message, reply, NameCache::Clock::now());
        send(reply.empty() ? dns::error_answer(message, query, dns::Rcode::ServFail) : reply);
    };
    if (!forwarder.ask(std::move(question)))
        send(dns::error_answer(message, query, dns::Rcode::ServFail));
}

void Resolver::Impl::on_datagrams(Client& client) {
    std::array<char, dns::kMaxQuery + 1> buffer{};
    for (int i = 0; i < kMostAtOnce; ++i) {
        sockaddr_in from{};
        socklen_t size = sizeof from;
        const ssize_t length = ::recvfrom(client.udp.fd.get(), buffer.data(), buffer.size(), 0,
                                          reinterpret_cast<sockaddr*>(&from), &size);
        if (length < 0) return;
        const std::string message(buffer.data(), static_cast<std::size_t>(length));
        handle(client, message, false,
               [this, id = client.id, serial = client.serial, from](const std::string& reply) {
                   const Client* const asked = find(id, serial);
                   if (asked == nullptr) return;
                   // A client that does not read loses its answer.
                   static_cast<void>(::sendto(
                       asked->udp.fd.get(), reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                       reinterpret_cast<const sockaddr*>(&from), sizeof from));
               });
    }
}

void Resolver::Impl::on_connect(Client& client) {
    sys::Fd fd(::accept4(client.tcp.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    const int error = errno;
    if (!fd && (error == EMFILE || error == ENFILE)) {  // look away until some have been closed
        ignore(reactor.change(client.tcp.fd.get(), 0), "it is watched");
        client.timer = reactor.after(kRetry, [this, &client] {
            client.timer = 0;
            ignore(reactor.change(client.tcp.fd.get(), sys::kReadable), "it is watched");
        });
    }
    if (!fd || client.connections.size() >= kMostConnections) return;
    const std::uint64_t key = ++last_serial;
    Connection& connection = client.connections[key];
    connection.fd = std::move(fd);
    const auto added =
        reactor.add(connection.fd.get(), sys::kReadable,
                    [this, &client, key](std::uint32_t ready) { on_stream(client, key, ready); });
    connection.timer = reactor.after(kLife, [this, &client, key] {
        client.connections.at(key).timer = 0;
        close(client, key);
    });
    if (!added) close(client, key);
}

void Resolver::Impl::close(Client& client, std::uint64_t key) {
    const auto found = client.connections.find(key);
    if (found == client.connections.end()) return;
    reactor.remove(found->second.fd.get());
    if (found->second.timer != 0) reactor.cancel(found->second.timer);
    client.connections.erase(found);
}

// False when the connection has ended.
bool Resolver::Impl::flush(Client& client, std::uint64_t key) {
    Connection& connection = client.connections.at(key);
    while (!connection.to_send.empty()) {
        const ssize_t sent = ::send(connection.fd.get(), connection.to_send.data(),
                                    connection.to_send.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) {
            close(client, key);
            return false;
        }
        connection.to_send.erase(0, static_cast<std::size_t>(sent));
    }
    const bool busy = connection.asking || !connection.to_send.empty();
    const std::uint32_t interest = connection.to_send.empty() ? 0U : sys::kWritable;
    ignore(reactor.change(connection.fd.get(), busy ? interest : sys::kReadable), "it is watched");
    return true;
}

void Resolver::Impl::on_stream(Client& client, std::uint64_t key, std::uint32_t ready) {
    Connection& connection = client.connections.at(key);
    if ((ready & sys::kHangUp) != 0) return close(client, key);
    if ((ready & sys::kWritable) != 0) {
        if (!flush(client, key)) return;
        return next_question(client, key);
    }
    std::array<char, dns::kMaxQuery> buffer{};
    const ssize_t size = ::recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return close(client, key);
    connection.received.append(buffer.data(), static_cast<std::size_t>(size));
    next_question(client, key);
}

void Resolver::Impl::next_question(Client& client, std::uint64_t key) {
    Connection& connection = client.connections.at(key);
    std::string& received = connection.received;
    if (connection.asking || !connection.to_send.empty() || received.size() < 2) return;
    const std::size_t size = static_cast<std::size_t>(static_cast<unsigned char>(received[0]))
                                 << 8U |
                             static_cast<unsigned char>(received[1]);
    if (size > dns::kMaxQuery) return close(client, key);
    if (received.size() < size + 2) return;
    const std::string message = received.substr(2, size);
    received.erase(0, size + 2);
    if (!dns::parse_query(message)) return close(client, key);
    connection.asking = true;
    ignore(reactor.change(connection.fd.get(), 0), "it is watched");
    handle(client, message, true,
           [this, id = client.id, serial = client.serial, key](const std::string& reply) {
               Client* const asked = find(id, serial);
               if (asked == nullptr || !asked->connections.contains(key)) return;
               Connection& target = asked->connections.at(key);
               target.asking = false;
               target.to_send = {static_cast<char>(reply.size() >> 8U),
                                 static_cast<char>(reply.size() & 0xFFU)};
               target.to_send += reply;
               if (flush(*asked, key)) next_question(*asked, key);
           });
}

Resolver::Resolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Resolver::~Resolver() = default;

Result<std::unique_ptr<Resolver>> Resolver::create(Lookup lookup, Learn learn) {
    sys::Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) return fail_errno("create an eventfd");
    auto impl = std::make_unique<Impl>(std::move(lookup), std::move(learn),
                                       TRY(sys::Reactor::create()), std::move(wake));
    impl->thread = std::thread([raw = impl.get()] {
        try {
            raw->run();
        } catch (const std::exception& error) {
            LOG_ERROR("the resolver ends: {}", error.what());
        }
    });
    return std::unique_ptr<Resolver>(new Resolver(std::move(impl)));
}

Result<void> Resolver::serve(const std::string& container_id, int netns_fd,
                             std::vector<std::string> servers) {
    const auto client = std::make_shared<Impl::Client>();
    client->id = container_id;
    client->servers = std::move(servers);
    const auto open = [&]() -> Result<void> {
        client->udp = TRY(listen_at(SOCK_DGRAM));
        client->tcp = TRY(listen_at(SOCK_STREAM));
        return sys::nft::run_here(port_rules(client->udp.port, client->tcp.port));
    };
    TRY_CONTEXT(sys::netlink::run_in_netns(netns_fd, open), "serve names in a network namespace");
    if (!client->servers.empty()) {
        client->netns.reset(::fcntl(netns_fd, F_DUPFD_CLOEXEC, 3));
        if (!client->netns) return fail_errno("keep a network namespace");
    }
    impl_->post([impl = impl_.get(), client] { impl->begin(client); });
    return {};
}

void Resolver::stop(const std::string& container_id) {
    impl_->post([impl = impl_.get(), container_id] { impl->end(container_id); });
}

}  // namespace coffer::network
