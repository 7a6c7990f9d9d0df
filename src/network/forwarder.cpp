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
// A client asks again after 5 s at the earliest: by then it should know.
constexpr std::chrono::milliseconds kPatience{4000};
constexpr std::chrono::milliseconds kNextServer{400};
constexpr std::chrono::milliseconds kResend{1200};
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

struct Forwarder::Attempt {
    sys::Fd socket;
    std::string to_send;   // of a stream, what is left
    std::string received;  // of a stream
};

struct Forwarder::Exchange {
    Question question;
    std::uint16_t client_id = 0;
    std::size_t next_server = 0;
    std::string best;  // what a server said that could not help
    std::list<Attempt> attempts;
    bool resent = false;
    std::uint64_t timer = 0;     // of the next step
    std::uint64_t deadline = 0;  // of all
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
        step(place);
    });
    (*place)->deadline = reactor_->after(kPatience, [this, place] {
        (*place)->deadline = 0;
        finish(place, std::move((*place)->best));
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
    for (const Attempt& attempt : exchange.attempts) reactor_->remove(attempt.socket.get());
    exchange.attempts.clear();
    for (std::uint64_t* timer : {&exchange.timer, &exchange.deadline})
        if (*timer != 0) reactor_->cancel(std::exchange(*timer, 0));
}

void Forwarder::finish(Place place, std::string reply) {
    const std::unique_ptr<Exchange> exchange = std::move(*place);
    open_.erase(place);
    close(*exchange);
    if (!reply.empty()) dns::set_id(reply, exchange->client_id);
    exchange->question.done(std::move(reply));
}

// Asks the next server; when all have been asked, the silent ones once more.
void Forwarder::step(Place place) {
    Exchange& exchange = **place;
    const Question& question = exchange.question;
    if (exchange.timer != 0) reactor_->cancel(std::exchange(exchange.timer, 0));
    const std::size_t servers = std::min(question.servers.size(), kMostServers);
    bool started = false;
    while (!started && exchange.next_server < servers) {
        const auto sent = start(place, question.servers[exchange.next_server++]);
        started = sent.has_value();
        if (!sent) LOG_DEBUG("ask a name server: {}", sent.error().message);
    }
    if (exchange.attempts.empty()) return finish(place, std::move(exchange.best));
    if (!started) {
        if (question.stream || std::exchange(exchange.resent, true)) return;
        for (const Attempt& attempt : exchange.attempts)
            static_cast<void>(!::send(attempt.socket.get(), question.message.data(),
                                      question.message.size(), MSG_NOSIGNAL));
        return;
    }
    const bool last = exchange.next_server >= servers;
    exchange.timer = reactor_->after(last ? kResend : kNextServer, [this, place] {
        (*place)->timer = 0;
        step(place);
    });
}

Result<void> Forwarder::start(Place place, const std::string& server) {
    Exchange& exchange = **place;
    const Question& question = exchange.question;
    const auto address = sys::SocketAddress::parse(server, kPort);
    if (!address) return fail(Code::InvalidArgument, "'{}' is no address", server);
    Attempt made;
    made.socket = TRY(open_socket(address->family(), question.stream, question.netns_fd));
    const int fd = made.socket.get();
    if (::connect(fd, address->get(), address->size) != 0 && errno != EINPROGRESS)
        return fail_errno("connect to {}", server);
    std::uint32_t interest = sys::kReadable;
    if (question.stream) {
        const std::size_t size = question.message.size();
        made.to_send = {static_cast<char>(size >> 8U), static_cast<char>(size & 0xFFU)};
        made.to_send += question.message;
        interest |= sys::kWritable;
    } else if (::send(fd, question.message.data(), question.message.size(), MSG_NOSIGNAL) < 0) {
        return fail_errno("send to {}", server);
    }
    const AttemptPlace attempt = exchange.attempts.insert(exchange.attempts.end(), std::move(made));
    auto added = reactor_->add(fd, interest, [this, place, attempt](std::uint32_t ready) {
        on_ready(place, attempt, ready);
    });
    if (!added) exchange.attempts.erase(attempt);
    return added;
}

// This server does not help: the next one is asked at once.
void Forwarder::give_up(Place place, AttemptPlace attempt) {
    Exchange& exchange = **place;
    reactor_->remove(attempt->socket.get());
    exchange.attempts.erase(attempt);
    const std::size_t servers = std::min(exchange.question.servers.size(), kMostServers);
    if (exchange.next_server < servers || exchange.attempts.empty()) step(place);
}

// Empty: not yet.
Result<std::string> Forwarder::read_reply(Attempt& attempt, bool stream) {
    std::string buffer(dns::kMaxMessage + 1, '\0');
    const ssize_t size = ::recv(attempt.socket.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return std::string();
    if (size < 0) return fail_errno("read an answer");
    buffer.resize(static_cast<std::size_t>(size));
    if (!stream) return buffer;
    if (size == 0) return fail(Code::Unavailable, "the server has closed the connection");
    std::string& all = attempt.received;
    all += buffer;
    if (all.size() < 2) return std::string();
    const std::size_t wanted = static_cast<std::size_t>(static_cast<unsigned char>(all[0])) << 8U |
                               static_cast<unsigned char>(all[1]);
    if (all.size() < wanted + 2) return std::string();
    return all.substr(2, wanted);
}

void Forwarder::on_ready(Place place, AttemptPlace attempt, std::uint32_t ready) {
    Exchange& exchange = **place;
    const bool stream = exchange.question.stream;
    if ((ready & sys::kWritable) != 0 && !attempt->to_send.empty()) {
        const ssize_t sent = ::send(attempt->socket.get(), attempt->to_send.data(),
                                    attempt->to_send.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return give_up(place, attempt);
        if (sent > 0) attempt->to_send.erase(0, static_cast<std::size_t>(sent));
        if (attempt->to_send.empty())
            ignore(reactor_->change(attempt->socket.get(), sys::kReadable), "it is watched");
    }
    if ((ready & (sys::kReadable | sys::kHangUp)) == 0) return;
    auto reply = read_reply(*attempt, stream);
    if (!reply) return give_up(place, attempt);
    // What does not answer our question is not from our server, or not worth anything.
    if (!dns::is_answer_to(*reply, exchange.question.message)) {
        if (stream && !reply->empty()) give_up(place, attempt);
        return;
    }
    const auto code = dns::rcode_of(*reply);
    if (code == dns::Rcode::NoError || code == dns::Rcode::NxDomain)
        return finish(place, std::move(*reply));
    exchange.best = std::move(*reply);
    give_up(place, attempt);
}

}  // namespace coffer::network
