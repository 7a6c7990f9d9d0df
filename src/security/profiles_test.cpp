#include "security/profiles.hpp"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cstring>

#include "oci/runtime_spec.hpp"
#include "runtime/seccomp_cache.hpp"
#include "sys/file.hpp"

namespace coffer::security {
namespace {

constexpr std::uint32_t kAllowed = SECCOMP_RET_ALLOW;
constexpr std::uint32_t refused_with(std::uint32_t error) {
    return SECCOMP_RET_ERRNO | error;
}

// What the kernel would answer: the program run over one system call.
std::uint32_t answer(const std::string& program, const seccomp_data& data) {
    std::vector<sock_filter> code(program.size() / sizeof(sock_filter));
    std::memcpy(code.data(), program.data(), program.size());
    std::uint32_t a = 0;
    std::uint32_t memory[16] = {};
    for (std::size_t pc = 0; pc < code.size(); ++pc) {
        const sock_filter& i = code[pc];
        const auto jump = [&](bool taken) { pc += taken ? i.jt : i.jf; };
        switch (i.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                std::memcpy(&a, reinterpret_cast<const char*>(&data) + i.k, sizeof a);
                break;
            case BPF_LD | BPF_MEM:
                a = memory[i.k];
                break;
            case BPF_ST:
                memory[i.k] = a;
                break;
            case BPF_ALU | BPF_AND | BPF_K:
                a &= i.k;
                break;
            case BPF_JMP | BPF_JA:
                pc += i.k;
                break;
            case BPF_JMP | BPF_JEQ | BPF_K:
                jump(a == i.k);
                break;
            case BPF_JMP | BPF_JGT | BPF_K:
                jump(a > i.k);
                break;
            case BPF_JMP | BPF_JGE | BPF_K:
                jump(a >= i.k);
                break;
            case BPF_RET | BPF_K:
                return i.k;
            default:
                ADD_FAILURE() << "instruction " << i.code;
                return 0;
        }
    }
    ADD_FAILURE() << "ran off the end";
    return 0;
}

class Filter {
  public:
    Filter(Level level, const std::vector<std::string>& capabilities)
        : dir_(MUST(sys::TempDir::create())) {
        const oci::LinuxSeccomp seccomp = MUST(default_seccomp(level, capabilities));
        program_ = MUST(runtime::cached_filter(dir_.path(), seccomp));
    }
    explicit Filter(Level level) : Filter(level, profile(level).capabilities) {}

    std::uint32_t operator()(int number, std::uint64_t a0 = 0, std::uint64_t a1 = 0,
                             std::uint64_t a2 = 0) const {
        return on(AUDIT_ARCH_X86_64, number, a0, a1, a2);
    }
    std::uint32_t on(std::uint32_t arch, int number, std::uint64_t a0 = 0, std::uint64_t a1 = 0,
                     std::uint64_t a2 = 0) const {
        return answer(program_, {number, arch, 0, {a0, a1, a2, 0, 0, 0}});
    }

  private:
    sys::TempDir dir_;
    std::string program_;
};

constexpr std::uint64_t kHigh = std::uint64_t{1} << 32U;
constexpr int kX86Socket = 359;
constexpr int kX86Socketcall = 102;
constexpr int kX86Read = 3;
constexpr int kX32Bit = 0x40000000;

TEST(Levels, are_found_by_their_names) {
    EXPECT_EQ(parse_level("strict"), Level::Strict);
    EXPECT_FALSE(parse_level("Strict"));
    EXPECT_EQ(profile(Level::Compat).capabilities.size(), 14U);
    EXPECT_EQ(profile(Level::Standard).capabilities.size(), 8U);
    EXPECT_TRUE(profile(Level::Strict).capabilities.empty());
    EXPECT_EQ(normalise_capability("net_raw"), "CAP_NET_RAW");
    EXPECT_FALSE(normalise_capability("CAP_NONSENSE"));
}

TEST(Standard, lets_ordinary_calls_through) {
    const Filter filter(Level::Standard);
    for (const int number : {SYS_read, SYS_write, SYS_openat, SYS_execve, SYS_futex, SYS_mmap,
                             SYS_setgroups, SYS_setresuid, SYS_epoll_wait, SYS_shmget}) {
        EXPECT_EQ(filter(number), kAllowed) << number;
    }
    EXPECT_EQ(filter(SYS_clone, 0x3D0F00 /* a thread */), kAllowed);
    EXPECT_EQ(filter(SYS_clone, 17 /* SIGCHLD: fork */), kAllowed);
}

TEST(Standard, socket_takes_four_families_and_netlink_only_for_routes) {
    const Filter filter(Level::Standard);
    for (const std::uint64_t family : {1U, 2U, 10U}) {
        EXPECT_EQ(filter(SYS_socket, family, 1, 6), kAllowed) << family;
    }
    EXPECT_EQ(filter(SYS_socket, 16, 3, 0), kAllowed);
    EXPECT_EQ(filter(SYS_socket, 16, 3, 9), refused_with(93)) << "audit";
    for (const std::uint64_t family : {0U, 3U, 17U, 29U, 38U, 40U, 44U, 100U, 0xFFFFFFFFU}) {
        EXPECT_EQ(filter(SYS_socket, family), refused_with(97)) << family;
    }
    EXPECT_EQ(filter(SYS_socket, kHigh | 38), refused_with(97))
        << "the kernel reads the low half only";
}

TEST(Standard, no_call_makes_a_namespace) {
    const Filter filter(Level::Standard);
    for (const std::uint64_t bit : {0x10000000U, 0x20000U, 0x40000000U}) {
        EXPECT_EQ(filter(SYS_clone, bit | 17), refused_with(1)) << bit;
        EXPECT_EQ(filter(SYS_unshare, bit), refused_with(1)) << bit;
    }
    EXPECT_EQ(filter(SYS_clone3), refused_with(38)) << "libraries fall back to clone";
    EXPECT_EQ(filter(SYS_setns, 3, 0), refused_with(1));
}

TEST(Standard, a_container_with_sys_admin_still_makes_no_user_namespace) {
    const Filter filter(Level::Standard, {"CAP_SYS_ADMIN"});
    EXPECT_EQ(filter(SYS_mount), kAllowed);
    EXPECT_EQ(filter(SYS_clone, 0x20000 | 17), kAllowed);
    EXPECT_EQ(filter(SYS_clone, 0x10020000 | 17), refused_with(1));
    EXPECT_EQ(filter(SYS_unshare, 0x20000), kAllowed);
    EXPECT_EQ(filter(SYS_unshare, 0x10000000), refused_with(1));
    EXPECT_EQ(filter(SYS_setns, 3, 0x40000000), kAllowed);
    EXPECT_NE(filter(SYS_setns, 3, 0), kAllowed) << "any kind of namespace, the user's too";
    EXPECT_NE(filter(SYS_setns, 3, 0x10000000), kAllowed);
    EXPECT_EQ(filter(SYS_clone3), refused_with(38));
}

TEST(Standard, a_terminal_takes_no_injected_input) {
    const Filter filter(Level::Standard);
    for (const std::uint64_t high : {std::uint64_t{0}, kHigh, ~std::uint64_t{0xFFFFFFFF}}) {
        EXPECT_EQ(filter(SYS_ioctl, 0, high | 0x5412), refused_with(1)) << high;
        EXPECT_EQ(filter(SYS_ioctl, 0, high | 0x541C), refused_with(1)) << high;
    }
    for (const std::uint64_t request :
         {0U, 0x5401U, 0x5411U, 0x5413U, 0x541BU, 0x541DU, 0x8912U, 0x80045430U, 0xFFFFFFFFU}) {
        EXPECT_EQ(filter(SYS_ioctl, 0, request), kAllowed) << request;
    }
}

TEST(Standard, refused_calls_say_so_and_unknown_ones_do_not_exist) {
    const Filter filter(Level::Standard);
    for (const int number : {SYS_mount, SYS_bpf, SYS_keyctl, SYS_add_key, SYS_userfaultfd,
                             SYS_perf_event_open, SYS_open_by_handle_at, SYS_fsopen, SYS_chroot}) {
        EXPECT_EQ(filter(number), refused_with(1)) << number;
    }
    for (const int number : {SYS_io_uring_setup, SYS_io_uring_enter, 999}) {
        EXPECT_EQ(filter(number), refused_with(38)) << number;
    }
}

TEST(Standard, only_the_native_abi_exists) {
    const Filter filter(Level::Standard);
    EXPECT_EQ(filter.on(AUDIT_ARCH_I386, kX86Read), SECCOMP_RET_KILL_PROCESS);
    EXPECT_NE(filter(SYS_read | kX32Bit), kAllowed);
}

TEST(Compat, takes_docker_s_calls_on_every_abi_but_no_hidden_socket_family) {
    const Filter filter(Level::Compat);
    EXPECT_EQ(filter.on(AUDIT_ARCH_I386, kX86Read), kAllowed);
    EXPECT_EQ(filter(SYS_read | kX32Bit), kAllowed);
    EXPECT_EQ(filter(SYS_ioctl, 0, 0x5412), kAllowed);
    EXPECT_EQ(filter(SYS_chroot), kAllowed);
    EXPECT_EQ(filter(SYS_mount), refused_with(1));
    EXPECT_EQ(filter(SYS_socket, 17), kAllowed);
    EXPECT_EQ(filter(SYS_socket, 38), refused_with(97));
    EXPECT_EQ(filter(SYS_socket, kHigh | 38), refused_with(97));
    EXPECT_EQ(filter.on(AUDIT_ARCH_I386, kX86Socket, 2), kAllowed);
    EXPECT_EQ(filter.on(AUDIT_ARCH_I386, kX86Socket, 38), refused_with(97));
    for (std::uint64_t call = 0; call < 22; ++call) {
        EXPECT_NE(filter.on(AUDIT_ARCH_I386, kX86Socketcall, call), kAllowed) << call;
    }
}

TEST(Seccomp, a_user_s_profile_is_resolved_for_capabilities_and_kernel) {
    const std::string text = R"({"defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                    {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []}],
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"},
                     {"names": ["mount"], "action": "SCMP_ACT_ALLOW",
                      "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                     {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW",
                      "includes": {"minKernel": "4.8"}},
                     {"name": "bpf", "action": "SCMP_ACT_ALLOW",
                      "includes": {"minKernel": "999.1"}},
                     {"names": ["kill"], "action": "SCMP_ACT_LOG",
                      "excludes": {"arches": ["amd64", "arm64"]}}]})";
    const auto names = [&](const std::vector<std::string>& capabilities) {
        std::string out;
        const oci::LinuxSeccomp seccomp = MUST(parse_seccomp(text, capabilities));
        for (const auto& syscall : seccomp.syscalls) {
            out += syscall.names.at(0) + " ";
        }
        return out;
    };
    EXPECT_EQ(names({}), "read ptrace ");
    EXPECT_EQ(names({"CAP_SYS_ADMIN"}), "read mount ptrace ");
}

TEST(Seccomp, a_malformed_profile_is_refused) {
    const sys::TempDir dir = MUST(sys::TempDir::create());
    for (const char* text : {"", "[]", "{}", "{\"defaultAction\": 7}",
                             "{\"defaultAction\": \"A\", \"listenerPath\": \"/x\"}",
                             "{\"defaultAction\": \"SCMP_ACT_NOTIFY\"}",
                             "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": "
                             "[\"read\"], \"action\": \"SCMP_ACT_NOTIFY\"}]}"}) {
        EXPECT_FALSE(parse_seccomp(text, {})) << text;
    }
    for (const char* text :
         {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"../x\"]}",
          "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"read\"], "
          "\"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 6, \"op\": \"SCMP_CMP_EQ\"}]}]}",
          "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"read\"], "
          "\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 70000}]}"}) {
        const auto seccomp = parse_seccomp(text, {});
        ASSERT_TRUE(seccomp) << text;
        EXPECT_FALSE(runtime::cached_filter(dir.path(), *seccomp)) << text;
    }
}

}  // namespace
}  // namespace coffer::security
