#pragma once
// Resolver: the name server that containers of user-defined networks find at 127.0.0.11. It knows
// their names for each other and passes other questions on. One thread serves all containers. Safe
// from any thread.
//
// The engine is not in the container: its sockets are. They are opened inside the network namespace
// by a short-lived thread, at ports that the kernel chooses; rules in that namespace rewrite port
// 53 of 127.0.0.11 to them, so that a program in the container may have port 53 for itself. A
// question never waits for a container or a server, and the containers' shares of sockets and of
// memory are bounded.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "network/dns.hpp"

namespace coffer::network {

inline constexpr const char* kResolverAddress = "127.0.0.11";

// What is known about a question of one container.
struct NameAnswer {
    bool known = false;              // answered here, by an address, by `pointer` or by nothing
    std::vector<Address> addresses;  // in any order
    std::string pointer;             // of an address
    bool may_ask_outside = false;    // what is not known here may be asked elsewhere
    bool refused = false;            // a policy says that it may not
};

class Resolver {
  public:
    // Called on the resolver's thread; must not block.
    using Lookup =
        std::function<NameAnswer(const std::string& container_id, const dns::Question& question)>;
    // What an outside server has answered, before the container gets it. Likewise.
    using Learn = std::function<void(const std::string& container_id, const dns::Question& question,
                                     std::string_view reply)>;
    static Result<std::unique_ptr<Resolver>> create(Lookup lookup, Learn learn);
    // Ends all service; containers keep their rules and ask in vain.
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;
    Resolver(Resolver&&) = delete;
    Resolver& operator=(Resolver&&) = delete;

    // Serves a network namespace (borrowed) until stop(). Names that are not ours are asked of
    // `servers`, from inside the namespace; with none, of the host's servers from the host.
    Result<void> serve(const std::string& container_id, int netns_fd,
                       std::vector<std::string> servers);
    void stop(const std::string& container_id);

  private:
    struct Impl;
    explicit Resolver(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::network
