#include "runtime/program.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "runtime/mount_plan.hpp"
#include "runtime/user.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

namespace {

Failure fail_exec(int error, const std::string& name, std::string_view detail) {
    Failure failure = fail(code_of_errno(error), "exec: \"{}\": {}", name, detail);
    failure.error.sys_errno = error;
    return failure;
}

// 0, or why it cannot be executed.
int probe(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return errno;
    if (S_ISDIR(status.st_mode)) return EISDIR;
    if ((status.st_mode & 0111U) == 0) return EACCES;
    return 0;
}

std::string_view value_of(const std::vector<std::string>& env, std::string_view name) {
    for (const std::string& entry : env) {
        const auto parts = cut(entry, "=");
        if (parts && parts->first == name) return parts->second;
    }
    return {};
}

Result<void> enter_folder(const std::string& cwd) {
    // The root is the container's. Magic links are refused, so /proc/self/fd/N leads nowhere.
    const sys::RootedDir root = TRY(sys::RootedDir::open("/"));
    const std::string path = clean_path(cwd);
    const sys::Fd folder = TRY_CONTEXT(root.open(path, O_PATH | O_DIRECTORY),
                                       "chdir to cwd (\"{}\") set in config.json failed", cwd);
    if (::fchdir(folder.get()) != 0) return fail_errno("enter '{}'", cwd);
    std::array<char, PATH_MAX> where{};
    if (::getcwd(where.data(), where.size()) == nullptr || where[0] != '/') {
        return fail(Code::Forbidden, "the working folder '{}' is outside of the container", cwd);
    }
    return {};
}

}  // namespace

Result<std::string> find_program(const std::string& name, const std::vector<std::string>& env) {
    if (name.empty()) return fail_exec(ENOENT, name, "no command specified");
    if (name.find('/') != std::string::npos) {
        const int error = probe(name);
        if (error == 0) return name;
        if (error == ENOENT || error == ENOTDIR) {
            return fail_exec(ENOENT, name, format("stat {}: {}", name, errno_text(error)));
        }
        return fail_exec(error, name, errno_text(error));
    }
    int last = ENOENT;
    for (std::string dir : split(value_of(env, "PATH"), ':')) {
        if (dir.empty()) dir = ".";
        const std::string path = dir + "/" + name;
        const int error = probe(path);
        if (error == 0) return path;
        if (error == EACCES) last = EACCES;
    }
    if (last == EACCES) return fail_exec(EACCES, name, "permission denied");
    return fail_exec(ENOENT, name, "executable file not found in $PATH");
}

Result<Program> prepare_program(const oci::Process& process, std::uint32_t uid) {
    Program program;
    program.args = process.args;
    program.env = process.env;
    const auto has_nul = [](const std::string& text) { return text.find('\0') != text.npos; };
    if (std::any_of(program.args.begin(), program.args.end(), has_nul)) {
        return fail(Code::InvalidArgument, "an argument with a NUL byte");
    }
    for (const std::string& entry : program.env) {
        if (has_nul(entry) || entry.find('=') == std::string::npos || entry[0] == '=') {
            return fail(Code::InvalidArgument, "environment entry '{}' is not NAME=value", entry);
        }
    }
    TRY(enter_folder(process.cwd));
    if (value_of(program.env, "HOME").empty()) {
        const sys::RootedDir root = TRY(sys::RootedDir::open("/"));
        const auto user = find_user(root, format("{}", uid));
        program.env.push_back("HOME=" + (user ? user->home : std::string("/")));
    }
    program.path = TRY(find_program(program.args.at(0), program.env));
    program.argv = sys::pointers(program.args);
    program.envp = sys::pointers(program.env);
    return program;
}

}  // namespace coffer::runtime
