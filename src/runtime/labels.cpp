#include "runtime/labels.hpp"

#include <fcntl.h>

#include "sys/file.hpp"

namespace coffer::runtime {

namespace {

bool has_apparmor() {
    const auto text = sys::read_file("/sys/module/apparmor/parameters/enabled", 16);
    return text && text->starts_with('Y');
}

bool has_selinux() {
    return sys::exists("/sys/fs/selinux/enforce");
}

bool is_confined(const std::string& profile) {
    return !profile.empty() && profile != "unconfined";
}

Result<void> write_attribute(const sys::Fd& host_proc, const std::string& path,
                             const std::string& value) {
    const sys::Fd file = TRY(sys::open_at(host_proc.get(), path, O_WRONLY));
    return sys::write_all(file.get(), value);
}

}  // namespace

Result<void> check_labels(const oci::Process& process) {
    if (is_confined(process.apparmor_profile) && !has_apparmor()) {
        return fail(Code::NotImplemented,
                    "process.apparmorProfile '{}': AppArmor is not enabled on this machine",
                    process.apparmor_profile);
    }
    if (!process.selinux_label.empty() && !has_selinux()) {
        return fail(Code::NotImplemented,
                    "process.selinuxLabel '{}': SELinux is not enabled on this machine",
                    process.selinux_label);
    }
    return {};
}

Result<void> check_mount_label(const std::string& label) {
    if (label.empty() || has_selinux()) return {};
    return fail(Code::NotImplemented,
                "linux.mountLabel '{}': SELinux is not enabled on this machine", label);
}

bool wants_label(const oci::Process& process) {
    return is_confined(process.apparmor_profile) || !process.selinux_label.empty();
}

Result<sys::Fd> open_host_proc() {
    return sys::open_file("/proc", O_PATH | O_DIRECTORY);
}

Result<void> set_label_in_child(const sys::Fd& host_proc, const oci::Process& process) {
    if (is_confined(process.apparmor_profile)) {
        const std::string value = "exec " + process.apparmor_profile;
        // Where several security modules are stacked, the plain name belongs to the first.
        auto done = write_attribute(host_proc, "self/attr/apparmor/exec", value);
        if (!done && done.error().sys_errno == ENOENT) {
            done = write_attribute(host_proc, "self/attr/exec", value);
        }
        if (!done && done.error().sys_errno == ENOENT) {
            return fail(Code::InvalidArgument,
                        "process.apparmorProfile '{}': this profile is not loaded",
                        process.apparmor_profile);
        }
        TRY_CONTEXT(std::move(done), "process.apparmorProfile '{}'", process.apparmor_profile);
    }
    if (!process.selinux_label.empty()) {
        TRY_CONTEXT(write_attribute(host_proc, "self/attr/exec", process.selinux_label),
                    "process.selinuxLabel '{}'", process.selinux_label);
    }
    return {};
}

}  // namespace coffer::runtime
