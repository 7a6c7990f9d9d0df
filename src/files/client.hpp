#pragma once
// Client: the engine's end of a coffer-files. Belongs to one thread; ends the process with itself.

#include "base/sync.hpp"
#include "files/protocol.hpp"
#include "sys/process.hpp"

namespace coffer::files {

class Client {
  public:
    // Starts `program` and waits for its first answer. `pidfd` (borrowed) is the container's, for
    // Place::Running. `cancel` ends every wait with Cancelled; it must outlive the client.
    static Result<Client> start(const std::string& program, const Request& request, int pidfd,
                                const Cancel& cancel);

    // With the first answer.
    const std::optional<Stat>& stat() const { return stat_; }
    // Blocks for at least one byte of the output; 0 at its end, once the last answer was good.
    Result<std::size_t> read(char* to, std::size_t size);
    // The whole input, and then the last answer.
    Result<void> write_all(const std::function<Result<std::size_t>(char*, std::size_t)>& input);

  private:
    Client(const Cancel& cancel, sys::Process process, sys::Fd control, sys::Fd input,
           sys::Fd output)
        : cancel_(&cancel),
          control_(std::move(control)),
          input_(std::move(input)),
          output_(std::move(output)),
          process_(std::move(process)) {}
    Result<Answer> receive();
    enum class Until : std::uint8_t { Readable, Writable };
    Result<void> wait(int fd, Until until) const;
    Result<void> write(std::string_view bytes);

    const Cancel* cancel_;
    sys::Fd control_;
    sys::Fd input_;
    sys::Fd output_;
    std::optional<Stat> stat_;
    sys::Process process_;
};

}  // namespace coffer::files
