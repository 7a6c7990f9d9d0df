#include "sys/cgroup_devices.hpp"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace coffer::sys::cgroup {

namespace {

constexpr std::uint8_t kContext = 1;  // registers: the context, then its fields
constexpr std::uint8_t kType = 2;
constexpr std::uint8_t kAccess = 3;
constexpr std::uint8_t kMajor = 4;
constexpr std::uint8_t kMinor = 5;
constexpr std::uint8_t kScratch = 1;  // the context is not needed once its fields are read
constexpr unsigned kAllAccess = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;

std::uint64_t instruction(unsigned code, std::uint8_t target, std::uint8_t source,
                          std::int16_t offset, std::int32_t immediate) {
    bpf_insn insn{};
    insn.code = static_cast<std::uint8_t>(code);
    insn.dst_reg = target & 0xF;
    insn.src_reg = source & 0xF;
    insn.off = offset;
    insn.imm = immediate;
    std::uint64_t bits = 0;
    static_assert(sizeof bits == sizeof insn);
    std::memcpy(&bits, &insn, sizeof bits);
    return bits;
}

std::uint64_t load_field(std::uint8_t target, std::size_t offset) {
    return instruction(BPF_LDX | BPF_MEM | BPF_W, target, kContext,
                       static_cast<std::int16_t>(offset), 0);
}

unsigned access_bits(const DeviceRule& rule) {
    if (rule.access.empty()) return kAllAccess;
    unsigned bits = 0;
    if (rule.access.find('m') != std::string::npos) bits |= BPF_DEVCG_ACC_MKNOD;
    if (rule.access.find('r') != std::string::npos) bits |= BPF_DEVCG_ACC_READ;
    if (rule.access.find('w') != std::string::npos) bits |= BPF_DEVCG_ACC_WRITE;
    return bits;
}

// A comparison that leaves the rule's block; the distance is filled in when the block is whole.
std::uint64_t leave_unless(std::uint8_t target, std::int64_t value) {
    return instruction(BPF_JMP | BPF_JNE | BPF_K, target, 0, 0, static_cast<std::int32_t>(value));
}

// Appends the rule's block. False when it matches everything, so that nothing after it runs.
bool append_rule(const DeviceRule& rule, std::vector<std::uint64_t>& program) {
    std::vector<std::uint64_t> block;
    std::vector<std::size_t> leaves;
    const auto leave = [&](std::uint64_t bits) {
        leaves.push_back(block.size());
        block.push_back(bits);
    };
    if (rule.type != 'a') {
        leave(leave_unless(kType, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
    }
    const unsigned bits = access_bits(rule);
    if (bits != kAllAccess) {
        block.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_X, kScratch, kAccess, 0, 0));
        block.push_back(instruction(BPF_ALU64 | BPF_AND | BPF_K, kScratch, 0, 0,
                                    static_cast<std::int32_t>(bits)));
        // An allowance must cover all that is asked; one refused part refuses the whole.
        leave(rule.allow ? instruction(BPF_JMP | BPF_JNE | BPF_X, kScratch, kAccess, 0, 0)
                         : instruction(BPF_JMP | BPF_JEQ | BPF_K, kScratch, 0, 0, 0));
    }
    if (rule.major) leave(leave_unless(kMajor, *rule.major));
    if (rule.minor) leave(leave_unless(kMinor, *rule.minor));
    block.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, rule.allow ? 1 : 0));
    block.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    for (const std::size_t at : leaves) {
        bpf_insn insn{};
        std::memcpy(&insn, &block[at], sizeof insn);
        insn.off = static_cast<std::int16_t>(block.size() - at - 1);
        std::memcpy(&block[at], &insn, sizeof insn);
    }
    program.insert(program.end(), block.begin(), block.end());
    return !leaves.empty();
}

long bpf(int command, bpf_attr& attributes) {
    return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

template <class Pointer>
std::uint64_t address(Pointer* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

}  // namespace

std::vector<std::uint64_t> device_program(const std::vector<DeviceRule>& rules) {
    static_assert(offsetof(bpf_cgroup_dev_ctx, access_type) == 0);
    std::vector<std::uint64_t> program = {
        load_field(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
        instruction(BPF_ALU64 | BPF_AND | BPF_K, kType, 0, 0, 0xFFFF),
        load_field(kAccess, offsetof(bpf_cgroup_dev_ctx, access_type)),
        instruction(BPF_ALU64 | BPF_RSH | BPF_K, kAccess, 0, 0, 16),
        load_field(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
        load_field(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
    };
    for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
        if (!append_rule(*rule, program)) return program;
    }
    program.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0));
    program.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    return program;
}

Result<void> restrict_devices(int folder_fd, const std::vector<DeviceRule>& rules) {
    const std::vector<std::uint64_t> program = device_program(rules);
    bpf_attr load{};
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insn_cnt = static_cast<std::uint32_t>(program.size());
    load.insns = address(program.data());
    load.license = address("GPL");
    const Fd loaded(static_cast<int>(bpf(BPF_PROG_LOAD, load)));
    if (!loaded) return fail_errno("load the device program of {} rules", rules.size());

    std::array<std::uint32_t, 64> ids{};
    bpf_attr query{};
    query.query.target_fd = static_cast<std::uint32_t>(folder_fd);
    query.query.attach_type = BPF_CGROUP_DEVICE;
    query.query.prog_ids = address(ids.data());
    query.query.prog_cnt = ids.size();
    if (bpf(BPF_PROG_QUERY, query) != 0) return fail_errno("query device programs");

    // The new one is in force before the old ones go: all that are attached must agree.
    bpf_attr attach{};
    attach.target_fd = static_cast<std::uint32_t>(folder_fd);
    attach.attach_bpf_fd = static_cast<std::uint32_t>(loaded.get());
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    if (bpf(BPF_PROG_ATTACH, attach) != 0) return fail_errno("attach device program");
    for (std::uint32_t i = 0; i < query.query.prog_cnt; ++i) {
        bpf_attr get{};
        get.prog_id = ids[i];
        const Fd old(static_cast<int>(bpf(BPF_PROG_GET_FD_BY_ID, get)));
        if (!old) continue;
        bpf_attr detach{};
        detach.target_fd = static_cast<std::uint32_t>(folder_fd);
        detach.attach_bpf_fd = static_cast<std::uint32_t>(old.get());
        detach.attach_type = BPF_CGROUP_DEVICE;
        if (bpf(BPF_PROG_DETACH, detach) != 0) return fail_errno("detach old device program");
    }
    return {};
}

}  // namespace coffer::sys::cgroup
