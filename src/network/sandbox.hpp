#pragma once
// SandboxPool: ready-made (user namespace, network namespace, id range) triples. The engine never
// clones: the small helper process `coffer-shim namespaces` makes each pair on request, and one
// worker keeps a few ready. Safe from any thread.
//
// The helper's messages on its SOCK_SEQPACKET descriptor 3, one each way (shim/protocol.hpp):
//   request  {"base":1879048192}              ids 0..65535 map to base..base+65535
//   reply    {"ok":true} with two descriptors: user namespace, network namespace owned by it
//   reply    {"ok":false,"message":"..."}
// A request that comes with a user namespace as descriptor is answered with one network namespace
// that this owns.
// The helper ends when its descriptor 3 is closed.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace coffer::network {

// Host ids that a sandbox maps: [id_base, id_base + kIdCount).
inline constexpr std::uint32_t kIdCount = 65536;
inline constexpr std::uint32_t kFirstIdBase = 0x70000000;
inline constexpr std::uint32_t kLastIdBase = 0x7FFD0000;  // the last range ends below 0x7FFE0000

// The network namespace has lo up and nothing else; its sysctls are set (no IPv6 outside lo, no
// router advertisements, gratuitous ARP, every port unprivileged, ping for every group).
struct Sandbox {
    sys::Fd userns;
    sys::Fd netns;
    std::uint32_t id_base = 0;

    explicit operator bool() const { return id_base != 0; }
};

struct SandboxPoolOptions {
    std::vector<std::string> helper;  // argv, e.g. {"/usr/libexec/coffer-shim", "namespaces"}
    unsigned ready = 4;               // pairs kept in stock
};

class SandboxPool {
  public:
    static Result<std::unique_ptr<SandboxPool>> create(SandboxPoolOptions options);
    ~SandboxPool();
    SandboxPool(const SandboxPool&) = delete;
    SandboxPool& operator=(const SandboxPool&) = delete;
    SandboxPool(SandboxPool&&) = delete;
    SandboxPool& operator=(SandboxPool&&) = delete;

    // Recovery, before warm(): the range of a container that is still running is not handed out.
    // As often as containers share it.
    Result<void> reserve(std::uint32_t id_base);
    // Starts the worker that fills the stock.
    void warm();
    // One from the stock, else made at once.
    Result<Sandbox> take();
    // One in the user namespace of a running container, with a network namespace of its own.
    Result<Sandbox> join(sys::Fd userns, std::uint32_t id_base);
    // Gives an id range back, once no process of it is left; who shares it keeps it. The namespaces
    // end with their last descriptor and process.
    void release(std::uint32_t id_base);

  private:
    struct Impl;
    explicit SandboxPool(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::network
