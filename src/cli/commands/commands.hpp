#pragma once
// Every command, by resource. Constant data.

#include "cli/command.hpp"

namespace coffer::cli::commands {

// run.cpp, exec.cpp, attach.cpp
extern const Command kRun;
extern const Command kCreate;
extern const Command kExec;
extern const Command kStart;
extern const Command kAttach;
// container.cpp
extern const Command kStop;
extern const Command kRestart;
extern const Command kKill;
extern const Command kPause;
extern const Command kUnpause;
extern const Command kWait;
extern const Command kRename;
extern const Command kRm;
extern const Command kLogs;
extern const Command kTop;
extern const Command kPort;
extern const Command kContainerPrune;
extern const Command kContainerInspect;
extern const Command kContainer;
// container_files.cpp, copy.cpp
extern const Command kCommit;
extern const Command kCp;
extern const Command kDiff;
extern const Command kExport;
// stats.cpp
extern const Command kStats;
// container_list.cpp
extern const Command kPs;
extern const Command kContainerLs;
// image.cpp, image_list.cpp, image_transfer.cpp
extern const Command kImages;
extern const Command kImageLs;
extern const Command kHistory;
extern const Command kRmi;
extern const Command kImageRm;
extern const Command kTag;
extern const Command kImageInspect;
extern const Command kImagePrune;
extern const Command kPull;
extern const Command kPush;
extern const Command kLoad;
extern const Command kSave;
extern const Command kImport;
extern const Command kImage;
// artifact.cpp
extern const Command kArtifact;
extern const Command kImageReferrers;
// image_tree.cpp, image_files.cpp
extern const Command kImagePin;
extern const Command kImagePins;
extern const Command kImageSign;
extern const Command kImageTree;
extern const Command kImageDiff;
extern const Command kImageMount;
extern const Command kImageUnmount;
extern const Command kImageUnpin;
extern const Command kImageVerify;
// search.cpp
extern const Command kSearch;
// update.cpp, recreate.cpp
extern const Command kUpdate;
extern const Command kRecreate;
// egress.cpp
extern const Command kEgress;
// network.cpp
extern const Command kNetwork;
// secret.cpp
extern const Command kSecret;
extern const Command kConfig;
// volume.cpp, volume_files.cpp
extern const Command kVolume;
extern const Command kVolumeClone;
extern const Command kVolumeDu;
extern const Command kVolumeExport;
extern const Command kVolumeImport;
extern const Command kVolumeRename;
extern const Command kVolumeSnapshot;
// system.cpp
extern const Command kVersion;
extern const Command kInfo;
extern const Command kEvents;
extern const Command kInspect;
extern const Command kSystem;
// system_check.cpp, disk_usage.cpp, system_prune.cpp
extern const Command kSystemCheck;
extern const Command kSystemGc;
extern const Command kSystemDf;
extern const Command kSystemPrune;
// registry.cpp
extern const Command kRegistry;
// login.cpp
extern const Command kLogin;
extern const Command kLogout;
// shell.cpp: the command line about itself
extern const Command kCompletion;
extern const Command kComplete;
extern const Command kMan;
extern const Command kHelp;

}  // namespace coffer::cli::commands
