#include "network/forwarder.hpp"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/log.hpp"
#include "network/dns.hpp"
#include "sys/netlink.hpp"
#include "sys/socket_address.hpp"

namespace coffer::network {
namespace {

constexpr std::size_t kMostOfOne = 64;
constexpr std::size_t kMostOfAll = 512;
constexpr std::size_t kMostServers = 3;
constexpr std::chrono::milliseconds kPatience{3000};
constexpr std::uint16_t kPort = 53;

Result<sys::Fd> open_socket(int family, bool stream, int netns_fd) {
    sys::Fd fd;
    const auto open = [&]() -> Result<void> {
        const int type = stream ? SOCK_STREAM : SOCK_DGRAM;
        fd.reset(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd) return fail_errno("open a socket");
        return {};
    };
    TRY(netns_fd < 0 ? open() : sys::netlink::run_in_netns(netns_fd, open));
    return fd;
}

std::uint16_t random_word() {
    std::uint16_t word = 0;
    static_cast<void>(!::getrandom(&word, sizeof word, 0));
    return word;
}

}  // namespace

struct Forwarder::Exchange {
    Question question;
    std::uint16_t client_id = 0;
    std::size_t next_server = 0;
    std::string best;  // what a server said that could not help
    sys::Fd socket;
    std::uint64_t timer = 0;
    std::string to_send;   // of a stream, what is left
    std::string received;  // of a stream
};

Forwarder::Forwarder(sys::Reactor& reactor) : reactor_(&reactor) {}
Forwarder::~Forwarder() {
    for (const auto& exchange : open_) close(*exchange);
}

bool Forwarder::ask(Question question) {
    const auto of_owner = std::count_if(open_.begin(), open_.end(), [&](const auto& exchange) {
        return exchange->question.owner == question.owner;
    });
    const auto query = dns::parse_query(question.message);
    if (open_.size() >= kMostOfAll || static_cast<std::size_t>(of_owner) >= kMostOfOne || !query)
        return false;
    auto exchange = std::make_unique<Exchange>();
    exchange->client_id = query->id;
    exchange->question = std::move(question);
    dns::set_id(exchange->question.message, random_word());
    const Place place = open_.insert(open_.end(), std::move(exchange));
    // Never from within ask(): the caller has not finished with its own books.
    (*place)->timer = reactor_->after(std::chrono::milliseconds(0), [this, place] {
        (*place)->timer = 0;
        try_next(place);
    });
    return true;
}

void Forwarder::drop(const std::string& owner) {
    for (auto place = open_.begin(); place != open_.end();) {
        const auto next = std::next(place);
        if ((*place)->question.owner == owner) {
            close(**place);
            open_.erase(place);
        }
        place = next;
    }
}

void Forwarder::close(Exchange& exchange) {
    if (exchange.socket) reactor_->remove(exchange.socket.get());
    exchange.socket.reset();
    if (exchange.timer != 0) reactor_->cancel(std::exchange(exchange.timer, 0));
}

void Forwarder::finish(Place place, std::string reply) {
    const std::unique_ptr<Exchange> exchange = std::move(*place);
    open_.erase(place);
    close(*exchange);
    if (!reply.empty()) dns::set_id(reply, exchange->client_id);
    exchange->question.done(std::move(reply));
}

void Forwarder::try_next(Place place) {
    Exchange& exchange = **place;
    close(exchange);
    const std::size_t servers = std::min(exchange.question.servers.size(), kMostServers);
    while (exchange.next_server < servers) {
        const auto sent = send(place);
        if (sent) return;
        LOG_DEBUG("ask a name server: {}", sent.error().message);
        close(exchange);
    }
    finish(place, std::move(exchange.best));
}

Result<void> Forwarder::send(Place place) {
    Exchange& exchange = **place;
    const Question& question = exchange.question;
    const std::string& server = question.servers[exchange.next_server++];
    const auto address = sys::SocketAddress::parse(server, kPort);
    if (!address) return fail(Code::InvalidArgument, "'{}' is no address", server);
    exchange.socket = TRY(open_socket(address->family(), question.stream, question.netns_fd));
    const int fd = exchange.socket.get();
    if (::connect(fd, address->get(), address->size) != 0 && errno != EINPROGRESS)
        return fail_errno("connect to {}", server);
    std::uint32_t interest = sys::kReadable;
    exchange.received.clear();
    if (question.stream) {
        const std::size_t size = question.message.size();
        exchange.to_send = {static_cast<char>(size >> 8U), static_cast<char>(size & 0xFFU)};
        exchange.to_send += question.message;
        interest |= sys::kWritable;
    } else if (::send(fd, question.message.data(), question.message.size(), MSG_NOSIGNAL) < 0) {
        return fail_errno("send to {}", server);
    }
    TRY(reactor_->add(fd, interest,
                      [this, place](std::uint32_t ready) { on_ready(place, ready); }));
    exchange.timer = reactor_->after(kPatience, [this, place] {
        (*place)->timer = 0;
        try_next(place);
    });
    return {};
}

// Empty: not yet.
Result<std::string> Forwarder::read_reply(Exchange& exchange) {
    std::string buffer(dns::kMaxMessage + 1, '\0');
    const ssize_t size = ::recv(exchange.socket.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return std::string();
    if (size < 0) return fail_errno("read an answer");
    buffer.resize(static_cast<std::size_t>(size));
    if (!exchange.question.stream) return buffer;
    if (size == 0) return fail(Code::Unavailable, "the server has closed the connection");
    std::string& all = exchange.received;
    all += buffer;
    if (all.size() < 2) return std::string();
    const std::size_t wanted = static_cast<std::size_t>(static_cast<unsigned char>(all[0])) << 8U |
                               static_cast<unsigned char>(all[1]);
    if (all.size() < wanted + 2) return std::string();
    return all.substr(2, wanted);
}

void Forwarder::on_ready(Place place, std::uint32_t ready) {
    Exchange& exchange = **place;
    if ((ready & sys::kWritable) != 0 && !exchange.to_send.empty()) {
        const ssize_t sent = ::send(exchange.socket.get(), exchange.to_send.data(),
                                    exchange.to_send.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return try_next(place);
        if (sent > 0) exchange.to_send.erase(0, static_cast<std::size_t>(sent));
        if (exchange.to_send.empty())
            ignore(reactor_->change(exchange.socket.get(), sys::kReadable), "it is watched");
    }
    if ((ready & (sys::kReadable | sys::kHangUp)) == 0) return;
    auto reply = read_reply(exchange);
    if (!reply) return try_next(place);
    // What does not answer our question is not from our server, or not worth anything.
    if (!dns::is_answer_to(*reply, exchange.question.message)) {
        if (exchange.question.stream && !reply->empty()) try_next(place);
        return;
    }
    const auto code = dns::rcode_of(*reply);
    if (code == dns::Rcode::NoError || code == dns::Rcode::NxDomain)
        return finish(place, std::move(*reply));
    exchange.best = std::move(*reply);
    try_next(place);
}

}  // namespace coffer::network
