/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a Keel VM has that cannot be found by probing. The names PWIN to HPTA are numbers that
 * vacpi_tables.c writes into the compiled table; their values here only keep iasl from
 * shortening them. The mouse is last, and is cut off where there is none.
 */
DefinitionBlock ("", "DSDT", 2, "KEEL", "KEELVM", 1)
{
	/* First: GRUB's halt reads up to here, and knows no constants of 64 bits. */
	Name (\_S5, Package () { 5, 5, 0, 0 })

	Name (PWIN, 0x11111111)			/* first byte of the 32-bit PCI window */
	Name (QWIN, 0x1111111111111111)		/* the 64-bit one, and its length or 0 */
	Name (QLEN, 0x1111111111111111)
	Name (ECAM, 0x11111111)			/* configuration space in memory, or 0 */
	Name (LBUS, 0x11111111)			/* the last bus */
	Name (HPTA, 0x11111111)			/* is there an HPET? */

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)

			Name (CRS0, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0xff, 0, 0x100, , , BUSN)
				IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0, 0x0000, 0x0cf7, 0, 0x0cf8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0, 0x0d00, 0xffff, 0, 0xf300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					Cacheable, ReadWrite,
					0, 0x000a0000, 0x000bffff, 0, 0x00020000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite,
					0, 0xc0000000, 0xfebfffff, 0, 0x3ec00000, , , MEM4)
			})
			Name (CRS1, ResourceTemplate ()
			{
				QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					Cacheable, ReadWrite,
					0, 0x800000000, 0x8ffffffff, 0, 0x100000000, , , MEM8)
			})

			Method (_CRS, 0, Serialized)
			{
				CreateDWordField (CRS0, ^MEM4._MIN, MIN4)
				CreateDWordField (CRS0, ^MEM4._MAX, MAX4)
				CreateDWordField (CRS0, ^MEM4._LEN, LEN4)
				CreateWordField (CRS0, ^BUSN._MAX, MAXB)
				CreateWordField (CRS0, ^BUSN._LEN, LENB)
				MAXB = LBUS
				LENB = LBUS + 1
				MIN4 = PWIN
				LEN4 = MAX4 - PWIN + 1
				If (QLEN == 0)
				{
					Return (CRS0)
				}
				CreateQWordField (CRS1, ^MEM8._MIN, MIN8)
				CreateQWordField (CRS1, ^MEM8._MAX, MAX8)
				CreateQWordField (CRS1, ^MEM8._LEN, LEN8)
				MIN8 = QWIN
				MAX8 = QWIN + QLEN - 1
				LEN8 = QLEN
				Return (ConcatenateResTemplate (CRS0, CRS1))
			}

			/*
			 * INTA to INTD of slot s are I/O APIC pins 16 + (s + pin) % 8, of the
			 * chipset's own from 25 on 16 + pin: VPCI_GSI in vpci.h.
			 */
			Method (_PRT, 0, Serialized)
			{
				Local0 = Package (128) {}
				Local1 = 0
				While (Local1 < 128)
				{
					Local2 = Local1 >> 2
					Local3 = Local1 & 3
					Local4 = Package (4) { 0, 0, 0, 0 }
					Local4[0] = (Local2 << 16) | 0xffff
					Local4[1] = Local3
					If (Local2 < 25)
					{
						Local3 += Local2
					}
					Local4[3] = 16 + (Local3 & 7)
					Local0[Local1] = Local4
					Local1++
				}
				Return (Local0)
			}
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03f8, 0x03f8, 1, 8)
				IRQNoFlags () { 4 }
			})
		}

		Device (KBD)
		{
			Name (_HID, EisaId ("PNP0303"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0060, 0x0060, 1, 1)
				IO (Decode16, 0x0064, 0x0064, 1, 1)
				IRQNoFlags () { 1 }
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 1, 2)
				IRQNoFlags () { 8 }
			})
		}

		Device (TIMR)
		{
			Name (_HID, EisaId ("PNP0100"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0040, 0x0040, 1, 4)
				IRQNoFlags () { 0 }
			})
		}

		/* Its whole page, so that nothing else is put there. */
		Device (HPET)
		{
			Name (_HID, EisaId ("PNP0103"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xfed00000, 0x1000)
			})
			Method (_STA, 0, NotSerialized)
			{
				If (HPTA == 0)
				{
					Return (0)
				}
				Return (15)
			}
		}

		Device (PIC)
		{
			Name (_HID, EisaId ("PNP0000"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0020, 0x0020, 1, 2)
				IO (Decode16, 0x00a0, 0x00a0, 1, 2)
				IO (Decode16, 0x04d0, 0x04d0, 1, 2)
				IRQNoFlags () { 2 }
			})
		}

		Device (SPKR)
		{
			Name (_HID, EisaId ("PNP0800"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0061, 0x0061, 1, 1)
			})
		}

		Device (PEVT)
		{
			Name (_HID, "QEMU0001")
			Name (_STA, 0x0f)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0505, 0x0505, 1, 1)
			})
			OperationRegion (PEOR, SystemIO, 0x0505, 1)
			Field (PEOR, ByteAcc, NoLock, Preserve)
			{
				PEPT, 8
			}
			Method (RDPT, 0, NotSerialized)
			{
				Return (PEPT)
			}
			Method (WRPT, 1, NotSerialized)
			{
				PEPT = Arg0
			}
		}

		Device (FWCF)
		{
			Name (_HID, "QEMU0002")
			Name (_STA, 0x0b)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0510, 0x0510, 1, 12)
			})
		}

		/* Linux takes ECAM only from a table that also reserves it. */
		Device (MBRD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 1)
			Name (CRS0, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0x11111111, 0x10000000, MEM4)
			})
			Method (_STA, 0, NotSerialized)
			{
				If (ECAM == 0)
				{
					Return (0)
				}
				Return (15)
			}
			Method (_CRS, 0, Serialized)
			{
				CreateDWordField (CRS0, ^MEM4._BAS, BAS4)
				CreateDWordField (CRS0, ^MEM4._LEN, LEN4)
				BAS4 = ECAM
				LEN4 = (LBUS + 1) << 20
				Return (CRS0)
			}
		}
	}

	Device (\_SB.MOU)
	{
		Name (_HID, EisaId ("PNP0F13"))
		Name (_CRS, ResourceTemplate ()
		{
			IRQNoFlags () { 12 }
		})
	}
}
