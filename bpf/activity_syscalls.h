// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// System calls by class: BOTH(name, number on x86-64, number on arm64, class), X86(name, number, class) for those that
// only x86-64 has. Numbers never change. What is not here, because it is newer or reserved, is of class OTHER.
//
// A call is of the class of what it is mostly used on: ioctl is a file's, futex a process's. OTHER holds what waits for
// anything (poll, epoll), what asks about or changes the system, keys, queues and semaphores, bpf and io_uring.
#ifndef PROBELAB_ACTIVITY_SYSCALLS_H
#define PROBELAB_ACTIVITY_SYSCALLS_H

#define ACTIVITY_SYSCALLS(BOTH, X86) \
	BOTH(read, 0, 63, FILE) \
	BOTH(write, 1, 64, FILE) \
	X86(open, 2, FILE) \
	BOTH(close, 3, 57, FILE) \
	X86(stat, 4, FILE) \
	BOTH(fstat, 5, 80, FILE) \
	X86(lstat, 6, FILE) \
	X86(poll, 7, OTHER) \
	BOTH(lseek, 8, 62, FILE) \
	BOTH(mmap, 9, 222, MEMORY) \
	BOTH(mprotect, 10, 226, MEMORY) \
	BOTH(munmap, 11, 215, MEMORY) \
	BOTH(brk, 12, 214, MEMORY) \
	BOTH(rt_sigaction, 13, 134, PROCESS) \
	BOTH(rt_sigprocmask, 14, 135, PROCESS) \
	BOTH(rt_sigreturn, 15, 139, PROCESS) \
	BOTH(ioctl, 16, 29, FILE) \
	BOTH(pread64, 17, 67, FILE) \
	BOTH(pwrite64, 18, 68, FILE) \
	BOTH(readv, 19, 65, FILE) \
	BOTH(writev, 20, 66, FILE) \
	X86(access, 21, FILE) \
	X86(pipe, 22, FILE) \
	X86(select, 23, OTHER) \
	BOTH(sched_yield, 24, 124, PROCESS) \
	BOTH(mremap, 25, 216, MEMORY) \
	BOTH(msync, 26, 227, MEMORY) \
	BOTH(mincore, 27, 232, MEMORY) \
	BOTH(madvise, 28, 233, MEMORY) \
	BOTH(shmget, 29, 194, MEMORY) \
	BOTH(shmat, 30, 196, MEMORY) \
	BOTH(shmctl, 31, 195, MEMORY) \
	BOTH(dup, 32, 23, FILE) \
	X86(dup2, 33, FILE) \
	X86(pause, 34, PROCESS) \
	BOTH(nanosleep, 35, 101, TIME) \
	BOTH(getitimer, 36, 102, TIME) \
	X86(alarm, 37, TIME) \
	BOTH(setitimer, 38, 103, TIME) \
	BOTH(getpid, 39, 172, PROCESS) \
	BOTH(sendfile, 40, 71, FILE) \
	BOTH(socket, 41, 198, NETWORK) \
	BOTH(connect, 42, 203, NETWORK) \
	BOTH(accept, 43, 202, NETWORK) \
	BOTH(sendto, 44, 206, NETWORK) \
	BOTH(recvfrom, 45, 207, NETWORK) \
	BOTH(sendmsg, 46, 211, NETWORK) \
	BOTH(recvmsg, 47, 212, NETWORK) \
	BOTH(shutdown, 48, 210, NETWORK) \
	BOTH(bind, 49, 200, NETWORK) \
	BOTH(listen, 50, 201, NETWORK) \
	BOTH(getsockname, 51, 204, NETWORK) \
	BOTH(getpeername, 52, 205, NETWORK) \
	BOTH(socketpair, 53, 199, NETWORK) \
	BOTH(setsockopt, 54, 208, NETWORK) \
	BOTH(getsockopt, 55, 209, NETWORK) \
	BOTH(clone, 56, 220, PROCESS) \
	X86(fork, 57, PROCESS) \
	X86(vfork, 58, PROCESS) \
	BOTH(execve, 59, 221, PROCESS) \
	BOTH(exit, 60, 93, PROCESS) \
	BOTH(wait4, 61, 260, PROCESS) \
	BOTH(kill, 62, 129, PROCESS) \
	BOTH(uname, 63, 160, OTHER) \
	BOTH(semget, 64, 190, OTHER) \
	BOTH(semop, 65, 193, OTHER) \
	BOTH(semctl, 66, 191, OTHER) \
	BOTH(shmdt, 67, 197, MEMORY) \
	BOTH(msgget, 68, 186, OTHER) \
	BOTH(msgsnd, 69, 189, OTHER) \
	BOTH(msgrcv, 70, 188, OTHER) \
	BOTH(msgctl, 71, 187, OTHER) \
	BOTH(fcntl, 72, 25, FILE) \
	BOTH(flock, 73, 32, FILE) \
	BOTH(fsync, 74, 82, FILE) \
	BOTH(fdatasync, 75, 83, FILE) \
	BOTH(truncate, 76, 45, FILE) \
	BOTH(ftruncate, 77, 46, FILE) \
	X86(getdents, 78, FILE) \
	BOTH(getcwd, 79, 17, FILE) \
	BOTH(chdir, 80, 49, FILE) \
	BOTH(fchdir, 81, 50, FILE) \
	X86(rename, 82, FILE) \
	X86(mkdir, 83, FILE) \
	X86(rmdir, 84, FILE) \
	X86(creat, 85, FILE) \
	X86(link, 86, FILE) \
	X86(unlink, 87, FILE) \
	X86(symlink, 88, FILE) \
	X86(readlink, 89, FILE) \
	X86(chmod, 90, FILE) \
	BOTH(fchmod, 91, 52, FILE) \
	X86(chown, 92, FILE) \
	BOTH(fchown, 93, 55, FILE) \
	X86(lchown, 94, FILE) \
	BOTH(umask, 95, 166, FILE) \
	BOTH(gettimeofday, 96, 169, TIME) \
	BOTH(getrlimit, 97, 163, PROCESS) \
	BOTH(getrusage, 98, 165, PROCESS) \
	BOTH(sysinfo, 99, 179, OTHER) \
	BOTH(times, 100, 153, TIME) \
	BOTH(ptrace, 101, 117, PROCESS) \
	BOTH(getuid, 102, 174, PROCESS) \
	BOTH(syslog, 103, 116, OTHER) \
	BOTH(getgid, 104, 176, PROCESS) \
	BOTH(setuid, 105, 146, PROCESS) \
	BOTH(setgid, 106, 144, PROCESS) \
	BOTH(geteuid, 107, 175, PROCESS) \
	BOTH(getegid, 108, 177, PROCESS) \
	BOTH(setpgid, 109, 154, PROCESS) \
	BOTH(getppid, 110, 173, PROCESS) \
	X86(getpgrp, 111, PROCESS) \
	BOTH(setsid, 112, 157, PROCESS) \
	BOTH(setreuid, 113, 145, PROCESS) \
	BOTH(setregid, 114, 143, PROCESS) \
	BOTH(getgroups, 115, 158, PROCESS) \
	BOTH(setgroups, 116, 159, PROCESS) \
	BOTH(setresuid, 117, 147, PROCESS) \
	BOTH(getresuid, 118, 148, PROCESS) \
	BOTH(setresgid, 119, 149, PROCESS) \
	BOTH(getresgid, 120, 150, PROCESS) \
	BOTH(getpgid, 121, 155, PROCESS) \
	BOTH(setfsuid, 122, 151, PROCESS) \
	BOTH(setfsgid, 123, 152, PROCESS) \
	BOTH(getsid, 124, 156, PROCESS) \
	BOTH(capget, 125, 90, PROCESS) \
	BOTH(capset, 126, 91, PROCESS) \
	BOTH(rt_sigpending, 127, 136, PROCESS) \
	BOTH(rt_sigtimedwait, 128, 137, PROCESS) \
	BOTH(rt_sigqueueinfo, 129, 138, PROCESS) \
	BOTH(rt_sigsuspend, 130, 133, PROCESS) \
	BOTH(sigaltstack, 131, 132, PROCESS) \
	X86(utime, 132, FILE) \
	X86(mknod, 133, FILE) \
	X86(uselib, 134, FILE) \
	BOTH(personality, 135, 92, PROCESS) \
	X86(ustat, 136, FILE) \
	BOTH(statfs, 137, 43, FILE) \
	BOTH(fstatfs, 138, 44, FILE) \
	X86(sysfs, 139, FILE) \
	BOTH(getpriority, 140, 141, PROCESS) \
	BOTH(setpriority, 141, 140, PROCESS) \
	BOTH(sched_setparam, 142, 118, PROCESS) \
	BOTH(sched_getparam, 143, 121, PROCESS) \
	BOTH(sched_setscheduler, 144, 119, PROCESS) \
	BOTH(sched_getscheduler, 145, 120, PROCESS) \
	BOTH(sched_get_priority_max, 146, 125, PROCESS) \
	BOTH(sched_get_priority_min, 147, 126, PROCESS) \
	BOTH(sched_rr_get_interval, 148, 127, PROCESS) \
	BOTH(mlock, 149, 228, MEMORY) \
	BOTH(munlock, 150, 229, MEMORY) \
	BOTH(mlockall, 151, 230, MEMORY) \
	BOTH(munlockall, 152, 231, MEMORY) \
	BOTH(vhangup, 153, 58, OTHER) \
	X86(modify_ldt, 154, MEMORY) \
	BOTH(pivot_root, 155, 41, FILE) \
	X86(_sysctl, 156, OTHER) \
	BOTH(prctl, 157, 167, PROCESS) \
	X86(arch_prctl, 158, PROCESS) \
	BOTH(adjtimex, 159, 171, TIME) \
	BOTH(setrlimit, 160, 164, PROCESS) \
	BOTH(chroot, 161, 51, FILE) \
	BOTH(sync, 162, 81, FILE) \
	BOTH(acct, 163, 89, PROCESS) \
	BOTH(settimeofday, 164, 170, TIME) \
	BOTH(mount, 165, 40, FILE) \
	BOTH(umount2, 166, 39, FILE) \
	BOTH(swapon, 167, 224, FILE) \
	BOTH(swapoff, 168, 225, FILE) \
	BOTH(reboot, 169, 142, OTHER) \
	BOTH(sethostname, 170, 161, NETWORK) \
	BOTH(setdomainname, 171, 162, NETWORK) \
	X86(iopl, 172, OTHER) \
	X86(ioperm, 173, OTHER) \
	X86(create_module, 174, OTHER) \
	BOTH(init_module, 175, 105, OTHER) \
	BOTH(delete_module, 176, 106, OTHER) \
	X86(get_kernel_syms, 177, OTHER) \
	X86(query_module, 178, OTHER) \
	BOTH(quotactl, 179, 60, FILE) \
	BOTH(nfsservctl, 180, 42, FILE) \
	X86(getpmsg, 181, OTHER) \
	X86(putpmsg, 182, OTHER) \
	X86(afs_syscall, 183, OTHER) \
	X86(tuxcall, 184, OTHER) \
	X86(security, 185, OTHER) \
	BOTH(gettid, 186, 178, PROCESS) \
	BOTH(readahead, 187, 213, FILE) \
	BOTH(setxattr, 188, 5, FILE) \
	BOTH(lsetxattr, 189, 6, FILE) \
	BOTH(fsetxattr, 190, 7, FILE) \
	BOTH(getxattr, 191, 8, FILE) \
	BOTH(lgetxattr, 192, 9, FILE) \
	BOTH(fgetxattr, 193, 10, FILE) \
	BOTH(listxattr, 194, 11, FILE) \
	BOTH(llistxattr, 195, 12, FILE) \
	BOTH(flistxattr, 196, 13, FILE) \
	BOTH(removexattr, 197, 14, FILE) \
	BOTH(lremovexattr, 198, 15, FILE) \
	BOTH(fremovexattr, 199, 16, FILE) \
	BOTH(tkill, 200, 130, PROCESS) \
	X86(time, 201, TIME) \
	BOTH(futex, 202, 98, PROCESS) \
	BOTH(sched_setaffinity, 203, 122, PROCESS) \
	BOTH(sched_getaffinity, 204, 123, PROCESS) \
	X86(set_thread_area, 205, OTHER) \
	BOTH(io_setup, 206, 0, FILE) \
	BOTH(io_destroy, 207, 1, FILE) \
	BOTH(io_getevents, 208, 4, FILE) \
	BOTH(io_submit, 209, 2, FILE) \
	BOTH(io_cancel, 210, 3, FILE) \
	X86(get_thread_area, 211, OTHER) \
	BOTH(lookup_dcookie, 212, 18, FILE) \
	X86(epoll_create, 213, OTHER) \
	X86(epoll_ctl_old, 214, OTHER) \
	X86(epoll_wait_old, 215, OTHER) \
	BOTH(remap_file_pages, 216, 234, MEMORY) \
	BOTH(getdents64, 217, 61, FILE) \
	BOTH(set_tid_address, 218, 96, PROCESS) \
	BOTH(restart_syscall, 219, 128, PROCESS) \
	BOTH(semtimedop, 220, 192, OTHER) \
	BOTH(fadvise64, 221, 223, FILE) \
	BOTH(timer_create, 222, 107, TIME) \
	BOTH(timer_settime, 223, 110, TIME) \
	BOTH(timer_gettime, 224, 108, TIME) \
	BOTH(timer_getoverrun, 225, 109, TIME) \
	BOTH(timer_delete, 226, 111, TIME) \
	BOTH(clock_settime, 227, 112, TIME) \
	BOTH(clock_gettime, 228, 113, TIME) \
	BOTH(clock_getres, 229, 114, TIME) \
	BOTH(clock_nanosleep, 230, 115, TIME) \
	BOTH(exit_group, 231, 94, PROCESS) \
	X86(epoll_wait, 232, OTHER) \
	BOTH(epoll_ctl, 233, 21, OTHER) \
	BOTH(tgkill, 234, 131, PROCESS) \
	X86(utimes, 235, FILE) \
	X86(vserver, 236, OTHER) \
	BOTH(mbind, 237, 235, MEMORY) \
	BOTH(set_mempolicy, 238, 237, MEMORY) \
	BOTH(get_mempolicy, 239, 236, MEMORY) \
	BOTH(mq_open, 240, 180, OTHER) \
	BOTH(mq_unlink, 241, 181, OTHER) \
	BOTH(mq_timedsend, 242, 182, OTHER) \
	BOTH(mq_timedreceive, 243, 183, OTHER) \
	BOTH(mq_notify, 244, 184, OTHER) \
	BOTH(mq_getsetattr, 245, 185, OTHER) \
	BOTH(kexec_load, 246, 104, OTHER) \
	BOTH(waitid, 247, 95, PROCESS) \
	BOTH(add_key, 248, 217, OTHER) \
	BOTH(request_key, 249, 218, OTHER) \
	BOTH(keyctl, 250, 219, OTHER) \
	BOTH(ioprio_set, 251, 30, PROCESS) \
	BOTH(ioprio_get, 252, 31, PROCESS) \
	X86(inotify_init, 253, FILE) \
	BOTH(inotify_add_watch, 254, 27, FILE) \
	BOTH(inotify_rm_watch, 255, 28, FILE) \
	BOTH(migrate_pages, 256, 238, MEMORY) \
	BOTH(openat, 257, 56, FILE) \
	BOTH(mkdirat, 258, 34, FILE) \
	BOTH(mknodat, 259, 33, FILE) \
	BOTH(fchownat, 260, 54, FILE) \
	X86(futimesat, 261, FILE) \
	BOTH(newfstatat, 262, 79, FILE) \
	BOTH(unlinkat, 263, 35, FILE) \
	BOTH(renameat, 264, 38, FILE) \
	BOTH(linkat, 265, 37, FILE) \
	BOTH(symlinkat, 266, 36, FILE) \
	BOTH(readlinkat, 267, 78, FILE) \
	BOTH(fchmodat, 268, 53, FILE) \
	BOTH(faccessat, 269, 48, FILE) \
	BOTH(pselect6, 270, 72, OTHER) \
	BOTH(ppoll, 271, 73, OTHER) \
	BOTH(unshare, 272, 97, PROCESS) \
	BOTH(set_robust_list, 273, 99, PROCESS) \
	BOTH(get_robust_list, 274, 100, PROCESS) \
	BOTH(splice, 275, 76, FILE) \
	BOTH(tee, 276, 77, FILE) \
	BOTH(sync_file_range, 277, 84, FILE) \
	BOTH(vmsplice, 278, 75, FILE) \
	BOTH(move_pages, 279, 239, MEMORY) \
	BOTH(utimensat, 280, 88, FILE) \
	BOTH(epoll_pwait, 281, 22, OTHER) \
	X86(signalfd, 282, PROCESS) \
	BOTH(timerfd_create, 283, 85, TIME) \
	X86(eventfd, 284, OTHER) \
	BOTH(fallocate, 285, 47, FILE) \
	BOTH(timerfd_settime, 286, 86, TIME) \
	BOTH(timerfd_gettime, 287, 87, TIME) \
	BOTH(accept4, 288, 242, NETWORK) \
	BOTH(signalfd4, 289, 74, PROCESS) \
	BOTH(eventfd2, 290, 19, OTHER) \
	BOTH(epoll_create1, 291, 20, OTHER) \
	BOTH(dup3, 292, 24, FILE) \
	BOTH(pipe2, 293, 59, FILE) \
	BOTH(inotify_init1, 294, 26, FILE) \
	BOTH(preadv, 295, 69, FILE) \
	BOTH(pwritev, 296, 70, FILE) \
	BOTH(rt_tgsigqueueinfo, 297, 240, PROCESS) \
	BOTH(perf_event_open, 298, 241, OTHER) \
	BOTH(recvmmsg, 299, 243, NETWORK) \
	BOTH(fanotify_init, 300, 262, FILE) \
	BOTH(fanotify_mark, 301, 263, FILE) \
	BOTH(prlimit64, 302, 261, PROCESS) \
	BOTH(name_to_handle_at, 303, 264, FILE) \
	BOTH(open_by_handle_at, 304, 265, FILE) \
	BOTH(clock_adjtime, 305, 266, TIME) \
	BOTH(syncfs, 306, 267, FILE) \
	BOTH(sendmmsg, 307, 269, NETWORK) \
	BOTH(setns, 308, 268, PROCESS) \
	BOTH(getcpu, 309, 168, PROCESS) \
	BOTH(process_vm_readv, 310, 270, MEMORY) \
	BOTH(process_vm_writev, 311, 271, MEMORY) \
	BOTH(kcmp, 312, 272, PROCESS) \
	BOTH(finit_module, 313, 273, OTHER) \
	BOTH(sched_setattr, 314, 274, PROCESS) \
	BOTH(sched_getattr, 315, 275, PROCESS) \
	BOTH(renameat2, 316, 276, FILE) \
	BOTH(seccomp, 317, 277, PROCESS) \
	BOTH(getrandom, 318, 278, OTHER) \
	BOTH(memfd_create, 319, 279, FILE) \
	BOTH(kexec_file_load, 320, 294, OTHER) \
	BOTH(bpf, 321, 280, OTHER) \
	BOTH(execveat, 322, 281, PROCESS) \
	BOTH(userfaultfd, 323, 282, MEMORY) \
	BOTH(membarrier, 324, 283, PROCESS) \
	BOTH(mlock2, 325, 284, MEMORY) \
	BOTH(copy_file_range, 326, 285, FILE) \
	BOTH(preadv2, 327, 286, FILE) \
	BOTH(pwritev2, 328, 287, FILE) \
	BOTH(pkey_mprotect, 329, 288, MEMORY) \
	BOTH(pkey_alloc, 330, 289, MEMORY) \
	BOTH(pkey_free, 331, 290, MEMORY) \
	BOTH(statx, 332, 291, FILE) \
	BOTH(io_pgetevents, 333, 292, FILE) \
	BOTH(rseq, 334, 293, PROCESS) \
	BOTH(pidfd_send_signal, 424, 424, PROCESS) \
	BOTH(io_uring_setup, 425, 425, OTHER) \
	BOTH(io_uring_enter, 426, 426, OTHER) \
	BOTH(io_uring_register, 427, 427, OTHER) \
	BOTH(open_tree, 428, 428, FILE) \
	BOTH(move_mount, 429, 429, FILE) \
	BOTH(fsopen, 430, 430, FILE) \
	BOTH(fsconfig, 431, 431, FILE) \
	BOTH(fsmount, 432, 432, FILE) \
	BOTH(fspick, 433, 433, FILE) \
	BOTH(pidfd_open, 434, 434, PROCESS) \
	BOTH(clone3, 435, 435, PROCESS) \
	BOTH(close_range, 436, 436, FILE) \
	BOTH(openat2, 437, 437, FILE) \
	BOTH(pidfd_getfd, 438, 438, PROCESS) \
	BOTH(faccessat2, 439, 439, FILE) \
	BOTH(process_madvise, 440, 440, MEMORY) \
	BOTH(epoll_pwait2, 441, 441, OTHER) \
	BOTH(mount_setattr, 442, 442, FILE) \
	BOTH(quotactl_fd, 443, 443, FILE) \
	BOTH(landlock_create_ruleset, 444, 444, OTHER) \
	BOTH(landlock_add_rule, 445, 445, OTHER) \
	BOTH(landlock_restrict_self, 446, 446, OTHER) \
	BOTH(memfd_secret, 447, 447, FILE) \
	BOTH(process_mrelease, 448, 448, PROCESS) \
	BOTH(futex_waitv, 449, 449, PROCESS) \
	BOTH(set_mempolicy_home_node, 450, 450, MEMORY) \
	BOTH(cachestat, 451, 451, FILE) \
	BOTH(fchmodat2, 452, 452, FILE) \
	BOTH(map_shadow_stack, 453, 453, MEMORY) \
	BOTH(futex_wake, 454, 454, PROCESS) \
	BOTH(futex_wait, 455, 455, PROCESS) \
	BOTH(futex_requeue, 456, 456, PROCESS) \
	BOTH(statmount, 457, 457, FILE) \
	BOTH(listmount, 458, 458, FILE) \
	BOTH(lsm_get_self_attr, 459, 459, OTHER) \
	BOTH(lsm_set_self_attr, 460, 460, OTHER) \
	BOTH(lsm_list_modules, 461, 461, OTHER) \
	BOTH(mseal, 462, 462, MEMORY) \
	BOTH(setxattrat, 463, 463, FILE) \
	BOTH(getxattrat, 464, 464, FILE) \
	BOTH(listxattrat, 465, 465, FILE) \
	BOTH(removexattrat, 466, 466, FILE) \
	BOTH(open_tree_attr, 467, 467, FILE) \
	BOTH(file_getattr, 468, 468, FILE) \
	BOTH(file_setattr, 469, 469, FILE)

#endif
