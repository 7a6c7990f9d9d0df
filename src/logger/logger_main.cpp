// coffer-logger: the work of a shim's log that needs time, memory or large libraries. Started by
// the shim, one for each container with a remote driver, and one for each file to compress.
//
//   coffer-logger send            descriptor 3 is the shim's: see logs/sender.hpp
//   coffer-logger compress FILE   makes FILE.gz of it

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>

#include "base/log.hpp"
#include "logger/driver.hpp"
#include "logger/log_files.hpp"
#include "logs/format.hpp"
#include "sys/credentials.hpp"
#include "sys/file.hpp"
#include "sys/signal.hpp"

namespace coffer::logger {
namespace {

constexpr int kShim = 3;
constexpr std::size_t kLargestRemote = 1024 * 1024;

using Clock = std::chrono::steady_clock;

void tell(std::string_view kind, std::string text) {
    for (char& c : text) c = c == '\n' ? ' ' : c;
    ignore(
        sys::write_all(kShim, text.empty() ? format("{}\n", kind) : format("{} {}\n", kind, text)),
        "the shim is gone: the end of its stream follows");
}

// Sends messages, and those that fail again for a while; counts the lost ones.
class Delivery {
  public:
    explicit Delivery(Driver& driver) : driver_(driver) {}
    ~Delivery() { tell_lost(); }
    Delivery(const Delivery&) = delete;
    Delivery& operator=(const Delivery&) = delete;
    Delivery(Delivery&&) = delete;
    Delivery& operator=(Delivery&&) = delete;

    void take(const logs::Message& message) {
        if (Clock::now() < quiet_until_) {
            ++lost_;
            return;
        }
        const auto deadline = Clock::now() + driver_.patience;
        const bool failed_before = fails_;
        for (;;) {
            const auto sent = send(message);
            if (sent) {
                if (std::exchange(fails_, false)) tell("notice", "the receiver of the log is back");
                return tell_lost();
            }
            if (!std::exchange(fails_, true)) tell("notice", sent.error().message);
            if (driver_.receiver.is_datagram() || failed_before || Clock::now() >= deadline) break;
            std::this_thread::sleep_for(driver_.retry_delay);
        }
        // Not again before some time has passed: the container must not wait for each message.
        quiet_until_ = driver_.receiver.is_datagram() ? Clock::time_point()
                                                      : Clock::now() + driver_.retry_delay;
        ++lost_;
    }

  private:
    Result<void> send(const logs::Message& message) {
        for (const std::string& bytes : driver_.encode(message)) {
            TRY(driver_.receiver.send(bytes));
            if (driver_.confirm) TRY(driver_.confirm(driver_.receiver));
        }
        return {};
    }
    void tell_lost() {
        if (lost_ > 0) tell("notice", format("{} messages could not be sent", lost_));
        lost_ = 0;
    }

    Driver& driver_;
    Clock::time_point quiet_until_;
    bool fails_ = false;
    std::uint64_t lost_ = 0;
};

Result<std::string> read_exactly(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t done = 0; done < size;) {
        const ssize_t n = ::read(kShim, bytes.data() + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(Code::Cancelled, "the shim is gone");
        done += static_cast<std::size_t>(n);
    }
    return bytes;
}

Result<void> deliver_all(Driver& driver) {
    Delivery delivery(driver);
    std::string bytes;
    std::string block(64 * 1024, '\0');
    for (;;) {
        const ssize_t n = ::read(kShim, block.data(), block.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read the log");
        if (n == 0) return {};
        bytes.append(block, 0, static_cast<std::size_t>(n));
        std::string_view rest = bytes;
        for (;;) {
            const auto length = logs::measure(logs::Format::Local, rest);
            if (!length) return fail(Code::Internal, "the shim sent what is no record");
            if (*length == 0) break;
            if (const auto message = logs::decode_local(rest.substr(0, *length)))
                delivery.take(*message);
            rest.remove_prefix(*length);
        }
        bytes.erase(0, bytes.size() - rest.size());
    }
}

// Nothing but sockets and the files of TLS is needed, which root may read without capabilities.
Result<void> drop_rights() {
    TRY(sys::cred::limit_bounding(0));
    TRY(sys::cred::set_capabilities({}));
    return sys::cred::set_no_new_privileges();
}

Result<void> send() {
    if (::fcntl(kShim, F_SETFD, FD_CLOEXEC) != 0) return fail_errno("descriptor 3 is the shim's");
    TRY(sys::signals::ignore_signal(SIGPIPE));
    const std::string head = TRY(read_exactly(logs::kLocalFrame));
    const std::uint32_t size = logs::local_length(head);
    if (size > kLargestRemote) return fail(Code::InvalidArgument, "the set-up is too long");
    const std::string text = TRY(read_exactly(size));
    const logs::Remote remote = TRY(json::decode<logs::Remote>(text));
    auto driver = make_driver(remote);
    if (!driver) {
        tell("failed", driver.error().message);
        return {};
    }
    const auto connected = driver->receiver.connect();
    ignore(drop_rights(), "without the right to drop there is nothing to drop");
    if (!connected) {
        tell("failed", remote.driver == "journald" ? "journald is not enabled on this host"
                                                   : connected.error().message);
        // Who starts without a receiver goes on trying; who insists ends us.
        driver->receiver.close();
    } else {
        tell("ready", {});
    }
    auto delivered = deliver_all(*driver);
    driver->receiver.finish();
    return delivered;
}

}  // namespace
}  // namespace coffer::logger

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    coffer::Result<void> done =
        coffer::fail(coffer::Code::InvalidArgument, "usage: coffer-logger send | compress FILE");
    if (arguments.size() == 1 && arguments[0] == "send") done = coffer::logger::send();
    if (arguments.size() == 2 && arguments[0] == "compress") {
        done = coffer::logger::compress_file(arguments[1]);
    }
    if (!done) {
        LOG_ERROR("coffer-logger: {}", done.error().message);
        return 1;
    }
    return 0;
}
