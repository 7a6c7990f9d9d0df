#include "runtime/user.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>

namespace coffer::runtime {

namespace {

constexpr std::size_t kFileLimit = 1024 * 1024;
constexpr std::uint64_t kMaxId = 2147483647;

bool all_digits(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Result<std::uint32_t> parse_id(std::string_view text) {
    const auto id = parse_uint(text);
    if (!id || *id > kMaxId) {
        return fail(Code::InvalidArgument, "uids and gids must be in range 0-2147483647: '{}'",
                    text);
    }
    return static_cast<std::uint32_t>(*id);
}

// The lines of a file, each split at ':'. A file that is absent, too large or not regular has none:
// an image is free not to have it, and numbers work without.
std::vector<std::vector<std::string>> read_table(const sys::RootedDir& root, const char* path) {
    std::vector<std::vector<std::string>> rows;
    const auto fd = root.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat status {};
    if (!fd || ::fstat(fd->get(), &status) != 0 || !S_ISREG(status.st_mode)) return rows;
    const auto text = sys::read_all(fd->get(), kFileLimit);
    if (!text) return rows;
    for (const std::string& line : split(*text, '\n')) {
        if (!line.empty() && line[0] != '#') rows.push_back(split(line, ':'));
    }
    return rows;
}

struct Account {
    std::string name;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string home;
};

std::optional<Account> find_account(const sys::RootedDir& root, std::string_view wanted) {
    const bool by_number = all_digits(wanted);
    for (const auto& row : read_table(root, "etc/passwd")) {
        if (row.size() < 4) continue;
        const auto uid = parse_id(row[2]);
        const auto gid = parse_id(row[3]);
        if (!uid || !gid) continue;
        if (by_number ? parse_uint(wanted) != *uid : row[0] != wanted) continue;
        return Account{row[0], *uid, *gid, row.size() > 5 ? row[5] : std::string()};
    }
    return std::nullopt;
}

using GroupTable = std::vector<std::vector<std::string>>;

Result<std::uint32_t> find_group(const GroupTable& groups, std::string_view wanted) {
    if (all_digits(wanted)) return parse_id(wanted);
    for (const auto& row : groups) {
        if (row.size() >= 3 && row[0] == wanted) return parse_id(row[2]);
    }
    return fail(Code::InvalidArgument, "unable to find group {}: no matching entries in group file",
                wanted);
}

void add_group(std::vector<std::uint32_t>& groups, std::uint32_t gid) {
    if (std::find(groups.begin(), groups.end(), gid) == groups.end()) groups.push_back(gid);
}

}  // namespace

Result<ProcessUser> find_user(const sys::RootedDir& root, std::string_view wanted,
                              const std::vector<std::string>& extra_groups) {
    const auto pair = cut(wanted, ":");
    std::string_view user_part = pair ? pair->first : wanted;
    const std::string_view group_part = pair ? pair->second : std::string_view();
    if (user_part.empty()) user_part = "0";

    ProcessUser user;
    if (all_digits(user_part)) user.uid = TRY(parse_id(user_part));
    const auto account = find_account(root, user_part);
    if (account) {
        user.uid = account->uid;
        user.gid = account->gid;
        if (account->home.starts_with('/')) user.home = account->home;
    } else if (!all_digits(user_part)) {
        return fail(Code::InvalidArgument,
                    "unable to find user {}: no matching entries in passwd file", user_part);
    }

    const GroupTable groups = read_table(root, "etc/group");
    if (!group_part.empty()) {
        user.gid = TRY(find_group(groups, group_part));
    } else if (account) {
        for (const auto& row : groups) {
            if (row.size() < 4) continue;
            const auto members = split(row[3], ',');
            if (std::find(members.begin(), members.end(), account->name) == members.end()) continue;
            if (const auto gid = parse_id(row[2])) add_group(user.groups, *gid);
        }
    }
    for (const std::string& name : extra_groups) {
        add_group(user.groups, TRY(find_group(groups, name)));
    }
    return user;
}

}  // namespace coffer::runtime
