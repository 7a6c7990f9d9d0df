// Profiles to filter programs, each compiled once: libseccomp needs 20 to 40 ms for one.

#include <array>
#include <map>

#include "base/hash.hpp"
#include "base/sync.hpp"
#include "oci/runtime_spec.hpp"
#include "security/profiles.hpp"
#include "sys/file.hpp"
#include "sys/seccomp.hpp"

namespace coffer::security {

namespace {

namespace seccomp = sys::seccomp;

constexpr std::size_t kDigestSize = 64;
constexpr std::size_t kLargestFile = 1U << 20U;

template <class Enum>
using Names = std::pair<std::string_view, Enum>;

constexpr std::array<Names<seccomp::Action>, 8> kActions = {{
    {"SCMP_ACT_ALLOW", seccomp::Action::Allow},
    {"SCMP_ACT_ERRNO", seccomp::Action::Errno},
    {"SCMP_ACT_KILL", seccomp::Action::Kill},
    {"SCMP_ACT_KILL_THREAD", seccomp::Action::Kill},
    {"SCMP_ACT_KILL_PROCESS", seccomp::Action::KillProcess},
    {"SCMP_ACT_TRAP", seccomp::Action::Trap},
    {"SCMP_ACT_TRACE", seccomp::Action::Trace},
    {"SCMP_ACT_LOG", seccomp::Action::Log},
}};
constexpr std::array<Names<seccomp::Compare>, 7> kCompares = {{
    {"SCMP_CMP_NE", seccomp::Compare::NotEqual},
    {"SCMP_CMP_LT", seccomp::Compare::Less},
    {"SCMP_CMP_LE", seccomp::Compare::LessEqual},
    {"SCMP_CMP_EQ", seccomp::Compare::Equal},
    {"SCMP_CMP_GE", seccomp::Compare::GreaterEqual},
    {"SCMP_CMP_GT", seccomp::Compare::Greater},
    {"SCMP_CMP_MASKED_EQ", seccomp::Compare::MaskedEqual},
}};

template <class Enum, std::size_t N>
Result<Enum> find_name(const std::array<Names<Enum>, N>& names, std::string_view what,
                       const std::string& name) {
    for (const auto& [text, value] : names) {
        if (text == name) return value;
    }
    return fail(Code::InvalidArgument, "seccomp profile: unknown {} '{}'", what, name);
}

Result<std::optional<std::uint16_t>> error_number(const std::optional<std::uint32_t>& value) {
    if (!value) return std::optional<std::uint16_t>();
    if (*value > 4095) {
        return fail(Code::InvalidArgument, "seccomp profile: error number {} is too large", *value);
    }
    return std::optional<std::uint16_t>(static_cast<std::uint16_t>(*value));
}

Result<seccomp::Rule> to_rule(const oci::LinuxSyscall& syscall) {
    seccomp::Rule rule;
    rule.names = syscall.names;
    rule.action = TRY(find_name(kActions, "action", syscall.action));
    rule.error = TRY(error_number(syscall.errno_ret));
    for (const oci::LinuxSeccompArg& arg : syscall.args) {
        if (arg.index > 5) {
            return fail(Code::InvalidArgument, "seccomp profile: argument {} of '{}'", arg.index,
                        join(syscall.names, ","));
        }
        const auto compare = TRY(find_name(kCompares, "comparison", arg.op));
        rule.conditions.push_back({arg.index, compare, arg.value, arg.value_two});
    }
    return rule;
}

Result<seccomp::Profile> to_profile(const oci::LinuxSeccomp& oci) {
    constexpr std::string_view kPrefix = "SCMP_ARCH_";
    seccomp::Profile profile;
    profile.default_action = TRY(find_name(kActions, "action", oci.default_action));
    profile.default_error = TRY(error_number(oci.default_errno_ret));
    for (const std::string& name : oci.architectures) {
        if (!name.starts_with(kPrefix)) {
            return fail(Code::InvalidArgument, "seccomp profile: unknown architecture '{}'", name);
        }
        profile.architectures.push_back(to_lower(name.substr(kPrefix.size())));
    }
    for (const oci::LinuxSyscall& syscall : oci.syscalls) {
        profile.rules.push_back(TRY(to_rule(syscall)));
    }
    return profile;
}

// <digest of the program><program>; nullopt when absent or damaged.
std::optional<std::string> load(const std::string& path) {
    auto text = sys::read_file(path, kLargestFile);
    if (!text || text->size() <= kDigestSize) return std::nullopt;
    const std::string program = text->substr(kDigestSize);
    if (sha256_hex(program) != std::string_view(*text).substr(0, kDigestSize)) return std::nullopt;
    return program;
}

Result<std::string> load_or_compile(const seccomp::Profile& profile, const std::string& path,
                                    const std::string& cache_dir) {
    if (auto known = load(path)) return *std::move(known);
    std::string program = TRY(seccomp::compile(profile));
    TRY(sys::make_dirs(cache_dir, 0700));
    TRY(sys::replace_file(path, sha256_hex(program) + program));
    return program;
}

}  // namespace

Result<std::string> compiled(const oci::LinuxSeccomp& seccomp, const std::string& cache_dir) {
    static Sync<std::map<std::string, std::string>> programs;
    const sys::seccomp::Profile profile = TRY(to_profile(seccomp));
    // The version is that of what compile() makes of a profile.
    const std::string key = sha256_hex("1\n" + sys::seccomp::canonical_text(profile));
    const std::string path = cache_dir + "/" + key + ".bpf";
    {
        auto known = programs.lock();
        const auto found = known->find(path);
        if (found != known->end()) return found->second;
    }
    std::string program = TRY(load_or_compile(profile, path, cache_dir));
    auto known = programs.lock();
    if (known->size() >= 64) known->clear();
    return known->insert_or_assign(path, std::move(program)).first->second;
}

}  // namespace coffer::security
