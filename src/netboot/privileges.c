/* Dropping privileges, in the one order that works. See privileges.h. */
#include "netboot/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int change_root(int root_fd, struct error *err)
{
	if (fchdir(root_fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return error_errno(err, errno, "cannot enter the folder of the boot files");
	return 0;
}

static int become(const char *user, const struct passwd *pw, struct error *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return error_errno(err, errno, "cannot become the user %s", user);
	/* Never believe it: a process that still could come back must not face the network. */
	if (pw->pw_uid != 0 && setuid(0) == 0)
		return error_set(err, -EPERM, "privileges are still there after becoming the user %s", user);
	return 0;
}

static void drop_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static int drop_capabilities(struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) < 0)
		return error_errno(err, errno, "cannot drop the capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "cannot forbid new privileges");
	return 0;
}

int privileges_drop(const char *user, int root_fd, struct error *err)
{
	const struct passwd *pw = NULL;
	int ret;

	if (user && user[0]) {
		pw = getpwnam(user);
		if (!pw)
			return error_set(err, -ERR_USAGE, "there is no user %s for the boot service to run as", user);
		ret = change_root(root_fd, err);
		if (ret < 0)
			return ret;
	}
	drop_bounding_set();
	if (pw) {
		ret = become(user, pw, err);
		if (ret < 0)
			return ret;
	}
	return drop_capabilities(err);
}
