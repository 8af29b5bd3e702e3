/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device's PCI function (virtio_pci.h): vendor capabilities that say
 * where its parts lie, MSI-X, and the window through which firmware without
 * access to the BARs reaches them. [virtio 1.2 4.1.4 "Virtio Structure PCI
 * Capabilities", 4.1.4.9 "PCI configuration access capability"]
 */
#include "virtio_pci.h"
#include "virtio_layout.h"

#define VENDOR_VIRTIO 0x1af4u
#define DEVICE_BASE 0x1040u
#define SUBSYS_BASE 0x1100u
#define REVISION_MODERN 1u
#define CAP_VENDOR 0x09u
#define CAP_LEN 16u
#define CAP_LEN_NOTIFY 20u
#define CAP_LEN_WINDOW 20u

enum { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE, CFG_WINDOW };

/* Offsets in a capability. */
#define CAP_BAR 4u
#define CAP_OFFSET 8u
#define CAP_LENGTH 12u
#define CAP_DATA 16u

static unsigned add_cap(struct pci_func *f, uint8_t type, unsigned len, uint32_t offset,
			uint32_t length)
{
	unsigned at = pci_cap_add(f, CAP_VENDOR, len);

	pci_reg_set(f, at + 2, 1, len, 0);
	pci_reg_set(f, at + 3, 1, type, 0);
	pci_reg_set(f, at + CAP_OFFSET, 4, offset, 0);
	pci_reg_set(f, at + CAP_LENGTH, 4, length, 0);
	return at;
}

static unsigned add_window(struct pci_func *f)
{
	unsigned at = add_cap(f, CFG_WINDOW, CAP_LEN_WINDOW, 0, 0);

	pci_reg_set(f, at + CAP_BAR, 1, 0, 0xff);
	pci_reg_set(f, at + CAP_OFFSET, 4, 0, 0xffffffff);
	pci_reg_set(f, at + CAP_LENGTH, 4, 0, 0xffffffff);
	pci_reg_set(f, at + CAP_DATA, 4, 0, 0xffffffff);
	return at;
}

/* The BAR that the window is set to, or NULL when it is set to nonsense. */
static struct pci_bar *window_target(struct pci_func *f, unsigned cap, uint32_t *off, uint32_t *len)
{
	unsigned bar = pci_cfg_get(f, cap + CAP_BAR, 1);

	*off = pci_cfg_get(f, cap + CAP_OFFSET, 4);
	*len = pci_cfg_get(f, cap + CAP_LENGTH, 4);
	if (bar >= PCI_BARS || (*len != 1 && *len != 2 && *len != 4) || *off & (*len - 1))
		return NULL;
	return *off < f->bar[bar].size ? &f->bar[bar] : NULL;
}

static bool touches(unsigned off, unsigned size, unsigned at, unsigned len)
{
	return off < at + len && off + size > at;
}

/* The window is the last but one capability: MSI-X lies behind it. */
static unsigned window_at(const struct virtio *v)
{
	return v->msix.cap - CAP_LEN_WINDOW;
}

static void window_reading(struct pci_func *f, unsigned off, unsigned size)
{
	struct virtio *v = container_of(f, struct virtio, f);
	unsigned cap = window_at(v);
	struct pci_bar *b;
	uint64_t value = 0;
	uint32_t at, len;

	if (!touches(off, size, cap + CAP_DATA, 4))
		return;
	b = window_target(f, cap, &at, &len);
	if (!b)
		return;
	mutex_lock(&v->d.lock);
	b->io.ops->read(&v->d, NULL, at, len, &value);
	mutex_unlock(&v->d.lock);
	for (unsigned i = 0; i < len; i++)
		f->cfg[cap + CAP_DATA + i] = (uint8_t)(value >> 8 * i);
}

static void window_written(struct virtio *v, unsigned off, unsigned size)
{
	unsigned cap = window_at(v);
	struct pci_bar *b;
	uint32_t at, len;

	/* Only an access to the data itself: a reset or a load writes all of the header. */
	if (off != cap + CAP_DATA || size > 4)
		return;
	b = window_target(&v->f, cap, &at, &len);
	if (b)
		b->io.ops->write(&v->d, NULL, at, len, pci_cfg_get(&v->f, cap + CAP_DATA, len));
}

static void cfg_written(struct pci_func *f, unsigned off, unsigned size)
{
	struct virtio *v = container_of(f, struct virtio, f);

	mutex_lock(&v->d.lock);
	window_written(v, off, size);
	if (touches(off, size, v->msix.cap + 2, 2))
		msix_control(&v->msix, f);
	mutex_unlock(&v->d.lock);
}

static const struct pci_func_ops virtio_func_ops = { .written = cfg_written,
						     .reading = window_reading };

void virtio_pci_init(struct virtio *v, struct pci_bus *bus, unsigned slot)
{
	struct pci_func *f = &v->f;
	unsigned at;

	pci_func_init(f, VENDOR_VIRTIO, (uint16_t)(DEVICE_BASE + v->ops->id), v->ops->class,
		      REVISION_MODERN);
	pci_reg_set(f, PCI_SUBSYS_VENDOR, 2, VENDOR_VIRTIO, 0);
	pci_reg_set(f, PCI_SUBSYS_DEVICE, 2, SUBSYS_BASE + v->ops->id, 0);
	pci_bar_add(f, 0, VIRTIO_BAR0_SIZE, &v->d, &virtio_bar0_io);
	pci_bar_add(f, 1, MSIX_BAR_SIZE, &v->d, &virtio_bar1_io);
	add_cap(f, CFG_COMMON, CAP_LEN, VIRTIO_COMMON_OFF, VIRTIO_AREA);
	at = add_cap(f, CFG_NOTIFY, CAP_LEN_NOTIFY, VIRTIO_NOTIFY_OFF, VIRTIO_AREA);
	pci_reg_set(f, at + CAP_LEN, 4, VIRTIO_NOTIFY_STEP, 0);
	add_cap(f, CFG_ISR, CAP_LEN, VIRTIO_ISR_OFF, VIRTIO_AREA);
	if (v->ops->config_len)
		add_cap(f, CFG_DEVICE, CAP_LEN, VIRTIO_CONFIG_OFF, VIRTIO_AREA);
	add_window(f);
	_Static_assert(VIRTIO_QUEUES_MAX < MSIX_VECTORS_MAX,
		       "a vector for each queue, and one more");
	msix_init(&v->msix, v->d.vm, f, 1, v->nr_queues + 1u);
	f->ops = &virtio_func_ops;
	pci_func_add(bus, f, slot);
}

void virtio_create(struct virtio *v, struct vm *vm, struct pci_bus *bus, unsigned slot,
		   const struct virtio_ops *ops, const struct vdev_ops *vdev_ops,
		   enum rec_type last_rec)
{
	v->ops = ops;
	v->config = ops->config;
	if (!v->nr_queues)
		v->nr_queues = ops->nr_queues;
	vdev_init(&v->d, vm, vdev_ops, REC_VIRTIO, last_rec, (uint16_t)slot);
	virtio_pci_init(v, bus, slot);
	virtio_clear(v);
}
