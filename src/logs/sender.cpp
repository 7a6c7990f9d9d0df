#include "logs/sender.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "logs/format.hpp"
#include "sys/process.hpp"

namespace coffer::logs {

namespace {

constexpr std::size_t kFullQueue = 256 * 1024;  // in blocking mode
constexpr auto kConnectLimit = std::chrono::seconds(15);
constexpr auto kRestartDelay = std::chrono::seconds(1);
constexpr auto kDrainLimit = std::chrono::seconds(10);  // after the end of the container
constexpr auto kTellLost = std::chrono::seconds(10);    // no more often
constexpr std::size_t kLongestLine = 4096;

std::string framed(const std::string& text) {
    std::string out;
    append_number(out, text.size(), kLocalFrame);
    return out + text;
}

}  // namespace

Sender::Sender(sys::Reactor& reactor, const Setup& setup, Events events)
    : reactor_(reactor), setup_(setup), events_(std::move(events)) {}

Sender::~Sender() {
    for (const std::uint64_t timer : {lost_timer_, restart_timer_, end_timer_}) {
        reactor_.cancel(timer);
    }
    if (socket_) reactor_.remove(socket_.get());
}

Result<std::unique_ptr<Sender>> Sender::open(sys::Reactor& reactor, const Setup& setup,
                                             Events events) {
    std::unique_ptr<Sender> sender(new Sender(reactor, setup, std::move(events)));
    TRY(sender->start());
    if (setup.must_connect) TRY(sender->wait_until_ready());
    return sender;
}

Result<void> Sender::start() {
    sys::SocketPair pair = TRY(sys::make_socketpair(SOCK_STREAM));
    sys::SpawnOptions spawn;
    spawn.argv = {setup_.program, "send"};
    spawn.cwd = "/";
    spawn.fds = {{3, pair.theirs.get()}};
    spawn.new_session = true;
    sys::Process process = TRY_CONTEXT(sys::spawn(spawn), "start the log sender");
    process.release();  // reaped by the owner of this process's children
    if (::fcntl(pair.ours.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("set non-blocking");
    socket_ = std::move(pair.ours);
    head_ = framed(setup_.remote);
    lines_.clear();
    sent_ = record_;
    TRY(reactor_.add(socket_.get(), sys::kReadable | sys::kWritable,
                     [this](std::uint32_t ready) { on_ready(ready); }));
    return {};
}

Result<void> Sender::wait_until_ready() {
    while (!head_.empty() && write_queue()) {
    }
    const auto deadline = std::chrono::steady_clock::now() + kConnectLimit;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd answer{socket_.get(), POLLIN, 0};
        const int n = left.count() <= 0 ? 0 : ::poll(&answer, 1, static_cast<int>(left.count()));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(Code::Unavailable, "the receiver of the log does not answer");
        std::array<char, 1024> block;
        const ssize_t got = ::recv(socket_.get(), block.data(), block.size(), 0);
        if (got == 0) return fail(Code::Unavailable, "the log sender has ended");
        if (got < 0) continue;
        lines_.append(block.data(), static_cast<std::size_t>(got));
        const std::size_t newline = lines_.find('\n');
        if (newline == std::string::npos) continue;
        const std::string line = lines_.substr(0, newline);
        lines_.erase(0, newline + 1);
        if (line == "ready") return {};
        const auto failed = cut(line, "failed ");
        return fail(Code::Unavailable, "{}", failed ? failed->second : std::string_view(line));
    }
}

void Sender::append(const Message& message) {
    if (drained_) return;
    if (queue_.empty() && lost_ > 0 && !finishing_) tell_lost();
    const std::size_t before = queue_.size();
    append_local(queue_, message);
    if (!setup_.non_blocking) return;
    // One message always fits.
    const auto limit = static_cast<std::size_t>(setup_.buffer);
    if (before == record_ || queue_.size() - record_ <= limit) return;
    queue_.resize(before);
    drop();
}

void Sender::drop() {
    if (lost_++ != 0 || lost_timer_ != 0) return;
    events_.notice("messages are being dropped: the receiver is slower than the container");
    lost_timer_ = reactor_.after(kTellLost, [this] {
        lost_timer_ = 0;
        tell_lost();
    });
}

void Sender::tell_lost() {
    if (lost_ == 0) return;
    events_.notice(format("{} messages were dropped", lost_));
    lost_ = 0;
}

void Sender::commit() {
    while (write_queue()) {
    }
    update_interest();
}

bool Sender::is_full() const {
    return !setup_.non_blocking && !drained_ && queue_.size() - sent_ >= kFullQueue;
}

// True when something was written and there is more.
bool Sender::write_queue() {
    if (!socket_) return false;
    const bool is_head = !head_.empty();
    const std::string_view bytes =
        is_head ? std::string_view(head_) : std::string_view(queue_).substr(sent_);
    if (bytes.empty()) return false;
    const ssize_t n =
        ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0) return n < 0 && errno == EINTR;
    if (is_head) {
        head_.erase(0, static_cast<std::size_t>(n));
        return true;
    }
    sent_ += static_cast<std::size_t>(n);
    while (record_ < sent_) {
        const auto length = measure(Format::Local, std::string_view(queue_).substr(record_));
        if (record_ + length.value_or(0) > sent_ || length.value_or(0) == 0) break;
        record_ += *length;
    }
    if (record_ == queue_.size()) {
        queue_ = {};  // gives the memory back
        record_ = sent_ = 0;
    } else if (record_ >= kFullQueue) {
        queue_.erase(0, record_);
        sent_ -= std::exchange(record_, 0);
    }
    return sent_ < queue_.size();
}

void Sender::update_interest() {
    if (!socket_) return;
    const bool waits = !head_.empty() || sent_ < queue_.size();
    ignore(reactor_.change(socket_.get(), sys::kReadable | (waits ? sys::kWritable : 0U)),
           "it is watched");
    if (finishing_ && !waits) ::shutdown(socket_.get(), SHUT_WR);
}

void Sender::on_ready(std::uint32_t ready) {
    const bool was_full = is_full();
    if ((ready & sys::kWritable) != 0) {
        while (write_queue()) {
        }
    }
    update_interest();
    if (was_full && !is_full()) events_.room();
    if ((ready & (sys::kReadable | sys::kHangUp)) != 0) read_lines();
}

void Sender::read_lines() {
    std::array<char, 1024> block;
    for (;;) {
        const ssize_t n = ::recv(socket_.get(), block.data(), block.size(), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) return on_death();
        lines_.append(block.data(), static_cast<std::size_t>(n));
        for (std::size_t newline = 0; (newline = lines_.find('\n')) != std::string::npos;) {
            const std::string line = lines_.substr(0, newline);
            lines_.erase(0, newline + 1);
            const auto text = cut(line, " ");
            if (text) events_.notice(std::string(text->second));
        }
        if (lines_.size() > kLongestLine) lines_.clear();
    }
}

// It ends by itself once it has sent all. Otherwise it was killed: a new one goes on with the
// record that the old one did not get whole.
void Sender::on_death() {
    reactor_.remove(socket_.get());
    socket_.reset();
    const bool over = finishing_ && head_.empty() && queue_.empty();
    sent_ = record_;
    if (over) return end();
    events_.notice("the log sender has ended; it is started again");
    restart_later();
}

void Sender::restart_later() {
    restart_timer_ = reactor_.after(kRestartDelay, [this] {
        restart_timer_ = 0;
        const auto started = start();
        if (started) return;
        events_.notice(started.error().message);
        restart_later();
    });
}

void Sender::finish() {
    if (finishing_) return;
    finishing_ = true;
    end_timer_ = reactor_.after(kDrainLimit, [this] {
        end_timer_ = 0;
        events_.notice("the receiver did not take the end of the log in time");
        end();
    });
    commit();
}

void Sender::end() {
    if (std::exchange(drained_, true)) return;
    tell_lost();
    queue_ = {};
    record_ = sent_ = 0;
    for (std::uint64_t* timer : {&lost_timer_, &restart_timer_, &end_timer_}) {
        reactor_.cancel(std::exchange(*timer, 0));
    }
    events_.drained();
}

}  // namespace coffer::logs
