#pragma once
// The stage of the network tests: this process is in a network namespace of its own and plays the
// host; `lan` is a second one, a neighbour on the host's network; containers are further ones. Used
// by one thread.

#include <map>
#include <memory>
#include <string>

#include "network/networks.hpp"
#include "sys/fd.hpp"

namespace coffer::network::testing {

inline constexpr const char* kHostLan = "192.0.2.1";
inline constexpr const char* kNeighbour = "192.0.2.2";
inline constexpr const char* kHostLan6 = "2001:db8::1";
inline constexpr const char* kNeighbour6 = "2001:db8::2";
inline constexpr const char* kMetadata = "169.254.169.254";

class MemoryRecords : public Records {
  public:
    Result<std::vector<std::string>> load() override;
    Result<void> save(const std::string& id, const std::string& document) override;
    Result<void> remove(const std::string& id) override;

    std::map<std::string, std::string> documents;
};

// Moves the process into a fresh network namespace with lo up. False without the privilege.
bool enter_fresh_netns();

// A network namespace that lives as long as this descriptor.
sys::Fd new_netns();

// A server inside a namespace (-1: the host), answering every connection or datagram with the
// address it came from. Ends with the object.
class Server {
  public:
    enum class Kind { Tcp, Udp };
    Server(int netns, Kind kind, const std::string& address, std::uint16_t port);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    Server(Server&&) = delete;
    Server& operator=(Server&&) = delete;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// What a Server at that address answers to a client in the namespace; "" when nothing comes within
// 0.4 s.
std::string ask_tcp(int netns, const std::string& address, std::uint16_t port);
std::string ask_udp(int netns, const std::string& address, std::uint16_t port);

// The neighbour on the LAN, with a route back to every container network through the host, and the
// metadata address on its lo.
sys::Fd make_lan();

// Runs a shell command on the host; for what the tests do behind the engine's back.
std::string shell(const std::string& command);
std::string shell_in(int netns, const std::string& command);

// "1" or "0": whether the firewall's IP hooks see bridged frames.
void set_bridge_netfilter(const char* value);

// Networks on their own records and bridge, removed at the end.
struct Engine {
    explicit Engine(std::string bridge = "t0");
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    Engine(Engine&&) = delete;
    Engine& operator=(Engine&&) = delete;

    // As after the death of the engine process: the same records, `running` restored.
    void restart(const std::vector<Endpoint>& running);

    Config config;
    MemoryRecords records;
    std::unique_ptr<Networks> networks;
};

struct Container {
    sys::Fd netns;
    Endpoint endpoint;
};
Container connect(Engine& engine, const std::string& network, const std::string& name,
                  ConnectOptions options = {});
PortRequest port(std::string_view host, std::string_view container, std::string host_ip = {});

}  // namespace coffer::network::testing
