// How large a container's writable layer may become: a project quota of the file system.
#include <fcntl.h>

#include "base/text.hpp"
#include "engine/containers_impl.hpp"
#include "store/store.hpp"
#include "sys/file.hpp"
#include "sys/quota.hpp"

namespace coffer::engine {

Result<void> Containers::Impl::set_quota(Record& record) {
    const auto size = record.host_config.storage_opt.find("size");
    if (size == record.host_config.storage_opt.end()) return {};
    const auto bytes = parse_bytes(size->second);
    if (!bytes || *bytes <= 0) {
        return fail(Code::InvalidArgument, "invalid size: '{}'", size->second);
    }
    record.quota_project = ++last_project;
    const auto set = [&]() -> Result<void> {
        for (const char* part : {"diff", "work"}) {
            const sys::Fd dir = TRY(sys::open_file(format("{}/{}", folder(record), part),
                                                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
            TRY(sys::quota::assign(dir.get(), record.quota_project));
            TRY(sys::quota::limit(dir.get(), record.quota_project,
                                  static_cast<std::uint64_t>(*bytes)));
        }
        return {};
    };
    auto done = set();
    if (!done && done.error().code == Code::NotImplemented) {
        return fail(Code::InvalidArgument,
                    "--storage-opt is supported only for overlay over xfs or ext4 with 'pquota' "
                    "mount option: {}",
                    done.error().message);
    }
    return done;
}

void Containers::Impl::clear_quota(const Record& record) const {
    if (record.quota_project == 0) return;
    const auto dir = sys::open_file(core.store.paths().root(), O_RDONLY | O_DIRECTORY);
    if (!dir) return;
    ignore(sys::quota::limit(dir->get(), record.quota_project, 0), "an unused limit hurts nobody");
}

}  // namespace coffer::engine
