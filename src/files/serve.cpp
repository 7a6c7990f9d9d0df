#include "files/serve.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/compress.hpp"
#include "archive/copy.hpp"
#include "files/resolve.hpp"
#include "runtime/copy_up.hpp"
#include "runtime/mount_plan.hpp"
#include "runtime/user.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace coffer::files {

namespace {

using archive::LayerTree;

Result<void> begin(std::optional<Stat> stat = {}) {
    Answer answer;
    answer.ok = true;
    answer.stat = std::move(stat);
    return send(answer);
}

Result<void> read(const Request& request, const View& view) {
    const Found found = TRY(resolve(view.root, request.path));
    const Stat stat = TRY(stat_of(view.root, found));
    TRY(begin(stat));
    archive::FdSink output(STDOUT_FILENO);
    archive::TarWriter tar(output.sink());
    TRY(archive::TreeReader(tar).add(found.folder.get(), found.base, found.name));
    TRY(tar.finish());
    return output.flush();
}

Result<void> read_all(const View& view) {
    TRY(begin());
    archive::FdSink output(STDOUT_FILENO);
    archive::TarWriter tar(output.sink());
    TRY(archive::TreeReader(tar).add(view.root.get(), ".", ""));
    TRY(tar.finish());
    return output.flush();
}

// Docker's words, by which of the file systems it is.
Result<void> check_writable(const View& view, const sys::Fd& folder) {
    if (!TRY(sys::mount::info(folder.get())).read_only) return {};
    if (TRY(sys::mount::same_mount(view.root.get(), folder.get()))) {
        return fail(Code::Forbidden, "container rootfs is marked read-only");
    }
    return fail(Code::Forbidden, "mounted volume is marked read-only");
}

Result<archive::ExtractOptions> extract_options(const Request& request, const sys::RootedDir& root,
                                                const std::string& folder) {
    archive::ExtractOptions options;
    options.owner = archive::Owner::ArchivedOrRoot;
    options.keep_kinds = request.keep_kinds;
    options.folder = folder;
    if (request.owner && !request.owner->empty()) {
        const auto user = TRY(runtime::find_user(root, *request.owner));
        options.owner = archive::Owner::Given;
        options.uid = user.uid;
        options.gid = user.gid;
    }
    return options;
}

Result<void> write(const Request& request, const View& view) {
    const sys::RootedDir root(TRY(view.root.duplicate()));
    LayerTree tree(view.root.get(), archive::TarLimits{}.depth, LayerTree::Mounts::Inside);
    const std::string folder = TRY(tree.real_path(runtime::clean_path(request.path).substr(1)));
    const auto found = TRY(root.open("/" + folder, O_PATH));
    struct stat status {};
    if (::fstat(found.get(), &status) != 0) return fail_errno("stat '/{}'", folder);
    if (!S_ISDIR(status.st_mode)) {
        return fail(Code::InvalidArgument, "extraction point is not a directory");
    }
    TRY(check_writable(view, found));
    const auto options = TRY(extract_options(request, root, folder));
    TRY(begin());
    archive::FdSource input(STDIN_FILENO);
    archive::DecodingSource tar(input);
    return archive::extract_tar(tar, tree, options);
}

}  // namespace

Result<void> send(const Answer& answer) {
    return sys::write_all(kControl, encode(answer));
}

Result<void> serve(const Request& request, const View& view) {
    switch (request.verb) {
        case Verb::Stat: {
            const Found found = TRY(resolve(view.root, request.path));
            return begin(TRY(stat_of(view.root, found)));
        }
        case Verb::Read:
            return read(request, view);
        case Verb::Write:
            return write(request, view);
        case Verb::Tree:
            return read_all(view);
        case Verb::Changes:
            TRY(begin());
            return write_changes(request, view);
        case Verb::Layer:
            TRY(begin());
            return write_layer(request, view);
        case Verb::Compare:
            TRY(begin());
            return write_comparison(view);
        case Verb::Copy:
            if (view.bases.size() != 1) return fail(Code::InvalidArgument, "nowhere to copy to");
            TRY(begin());
            return runtime::copy_up(view.root.get(), view.bases[0].get(),
                                    runtime::FolderStatus::Copied);
    }
    return fail(Code::Internal, "no verb");
}

}  // namespace coffer::files
